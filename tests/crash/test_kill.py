"""`kill -9` at random moments of import, filter, compact and vacuum, with two writers and a reader at work.

    pytest tests/crash -m slow        # fifty rounds

After every round the lake must be readable, hold everything that was ever committed, show
nothing half-written, and have no damage. The reader asks the same all the time. Not covered:
power cuts; that files are synced before they are named is read from the code, not tested.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from crash_invariants import Memory
from crash_processes import Process, command, duration_s, reader, write_episodes

from toolkit.lake.check import check
from toolkit.lake.lake import open_lake
from toolkit.lake.vacuum import vacuum

RECIPE = "name: {name}\nsteps:\n  - where: correct\n  - dedup: {{by: trajectory}}\n  - sample: {{n: 100, seed: 1}}\n"
SIGKILL = -9


class Siege:
    """One lake, its attackers, and what they were doing."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root, self.lake = root, root / "lake"
        self.random = random.Random(seed)
        self.memory = Memory()
        self.killed = 0
        self.usual_s = duration_s(*self.arguments("import", "first"))

    def arguments(self, name: str, label: str) -> list[object]:
        """The command line of one command; `label` names what it writes."""
        if name == "import":
            file = write_episodes(self.root / f"{label}.jsonl")
            return ["import", file, "--format", "react-text", "--dataset", label, "--lake", self.lake]
        if name == "filter":
            recipe = self.root / f"{label}.yaml"
            recipe.write_text(RECIPE.format(name=label))
            return ["filter", recipe, "--lake", self.lake]
        if name == "compact":
            return ["compact", "--target-mb", "1", "--lake", self.lake]
        return ["vacuum", "--older-than", "0s", "--lake", self.lake]

    def round(self, number: int) -> None:
        """Two commands at once, each shot at a random moment of an import's usual life or a little later."""
        second = self.random.choice(["import", "filter", "filter", "compact", "compact", "vacuum"])
        names = ["import", second] if second != "import" else ["import", "import again"]
        attackers = {name: command(*self.arguments(name.split()[0], f"{number}-{name}")) for name in names}
        shoot(attackers, {name: self.random.uniform(0, 1.3 * self.usual_s) for name in attackers})
        seen = self.memory.inspect(self.lake)
        for name, process in attackers.items():
            code, said = process.end()
            self.killed += code == SIGKILL
            lost_race = name == "compact" and "superseded by another writer" in said
            assert code in (0, SIGKILL) or lost_race, said
            if code == 0 and name.startswith("import"):
                label = Path(process.arguments[1]).stem
                assert label in seen.datasets, f"{label} was imported and is gone"


def shoot(processes: dict[str, Process], after_s: dict[str, float]) -> None:
    """Let all go at once and kill each after its time, unless it is done by then."""
    for process in processes.values():
        process.wait_until_ready()
    started = time.monotonic()
    for process in processes.values():
        process.go()
    for name in sorted(processes, key=after_s.__getitem__):
        while time.monotonic() - started < after_s[name] and not processes[name].is_done():
            time.sleep(0.001)
        if not processes[name].is_done():
            processes[name].kill()


@pytest.mark.parametrize("rounds", [2, pytest.param(50, marks=pytest.mark.slow)])
def test_killing_writers_at_random_moments_loses_nothing_and_shows_nothing_half_written(
    tmp_path: Path, rounds: int
) -> None:
    siege = Siege(tmp_path, seed=rounds)
    watcher = reader(siege.lake)
    watcher.wait_until_ready()
    for number in range(rounds):
        siege.round(number)
        assert not watcher.is_done(), watcher.end()[1]
    watcher.go()
    code, said = watcher.end()
    assert code == 0, said
    assert int(said) >= rounds
    assert siege.killed >= rounds // 2
    lake = open_lake(siege.lake)
    vacuum(lake, older_than_s=0)
    assert check(lake) == []
    siege.memory.inspect(siege.lake)
    assert duration_s(*siege.arguments("import", "the last one")) > 0
    assert "the last one" in siege.memory.inspect(siege.lake).datasets
