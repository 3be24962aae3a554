import asyncio
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from schemas.identity import derive_id
from toolkit.errors import InputError
from toolkit.lake.journal import Entry, Journal
from toolkit.lake.journals import WHOLE, Shard, open_journal, parse_shard, place, unfinished
from toolkit.lake.lake import open_lake
from toolkit.lake.layout import Layout

RUN = derive_id("identity", "a run")
TASKS = [derive_id("task", number) for number in range(2_000)]
HOLDER = """
import sys
from pathlib import Path
from toolkit.lake.journals import open_journal, parse_shard
from toolkit.lake.layout import Layout
with open_journal(Layout(Path(sys.argv[1])), sys.argv[2], parse_shard(sys.argv[3])):
    print("holds", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return open_lake(tmp_path / "lake", create=True).layout


def fill(layout: Layout, shard: Shard, tasks: list[str]) -> None:
    """As a run that was killed: entries of these tasks."""
    with open_journal(layout, RUN, shard) as journal:
        put(journal, *(Entry(derive_id("of", task), place(task), 0, "reply", b"d", 0, b"v") for task in tasks))


def put(journal: Journal, *entries: Entry) -> None:
    async def run() -> None:
        await asyncio.gather(*map(journal.put, entries))

    asyncio.run(run())


def test_shards_are_disjoint_and_complete_and_always_the_same() -> None:
    for count in (1, 2, 7):
        holders = [[Shard(number, count).holds(task) for number in range(1, count + 1)] for task in TASKS]
        assert all(sum(held) == 1 for held in holders)
        sizes = [sum(held) for held in zip(*holders, strict=True)]
        assert min(sizes) > 0.7 * len(TASKS) / count
    assert place(derive_id("task", 0)) == 2865079858


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "1/2/3", "-1/2", ""])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"expected --shard as i/n"):
        parse_shard(text)
    assert parse_shard("2/4") == Shard(2, 4)


def test_what_is_left_is_there_for_the_next_run_and_nothing_remains_after_it(layout: Layout) -> None:
    fill(layout, WHOLE, TASKS[:3])
    with open_journal(layout, RUN) as journal:
        found = {entry.trajectory_id for entry in journal.entries()}
        journal.drop(found)
    assert found == {derive_id("of", task) for task in TASKS[:3]}
    assert list(layout.journals.iterdir()) == []


def test_another_division_takes_over_what_is_its_own(layout: Layout) -> None:
    fill(layout, WHOLE, TASKS[:40])
    taken: list[set[str]] = []
    for number in (1, 2, 3):
        assert unfinished(layout, RUN, Shard(number, 3)) == expected(Shard(number, 3))
        with open_journal(layout, RUN, Shard(number, 3)) as journal:
            taken.append({entry.trajectory_id for entry in journal.entries()})
        assert taken[-1] == expected(Shard(number, 3))
    assert sum(map(len, taken)) == 40
    with open_journal(layout, RUN) as journal:
        assert {entry.trajectory_id for entry in journal.entries()} == set().union(*taken)
    assert [path.name for path in layout.journals.iterdir()] == [f"{RUN}.sqlite"]


def expected(shard: Shard) -> set[str]:
    return {derive_id("of", task) for task in TASKS[:40] if shard.holds(task)}


@pytest.mark.parametrize(
    ("held", "wanted", "allowed"),
    [("1/1", "1/1", False), ("1/2", "2/2", True), ("1/2", "1/2", False), ("1/2", "1/1", False), ("1/1", "2/3", False)],
)
def test_what_overlaps_with_a_living_run_is_refused_with_its_process(
    layout: Layout, held: str, wanted: str, allowed: bool
) -> None:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", HOLDER, str(layout.root), RUN, held]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holds\n"
        try:
            if allowed:
                with open_journal(layout, RUN, parse_shard(wanted)):
                    pass
            else:
                with (
                    pytest.raises(InputError, match=f"process {holder.pid} on .*--shard"),
                    open_journal(layout, RUN, parse_shard(wanted)),
                ):
                    pass
        finally:
            holder.kill()
            with suppress(BrokenPipeError):
                holder.communicate()
    # Its death gave the lock back.
    with open_journal(layout, RUN, parse_shard(wanted)):
        pass


def test_runs_of_other_identity_do_not_meet(layout: Layout) -> None:
    fill(layout, WHOLE, TASKS[:2])
    with open_journal(layout, RUN), open_journal(layout, derive_id("identity", "another")) as other:
        assert other.entries() == []
