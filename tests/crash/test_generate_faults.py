"""`toolkit generate` under fire: killed, lied to, out of space, interrupted, and twice at once.

    pytest tests/crash/test_generate_faults.py -m slow -s        # twenty kills in 200 rollouts, and figures

After each, nothing may be lost or doubled, no request whose reply was recorded may be sent again, and the contents
must be those of an undisturbed run. Not covered: power cuts.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from counting_server import FAULTS, counting_server
from generate_siege import Siege, ended, kill, wait_for_requests

CALLS = 4
"""Requests of one question: its chain of thought and three actions."""


Sieges = Callable[[Path, int], Siege]


@pytest.fixture
def sieges() -> Iterator[Sieges]:
    """Makes sieges, and ends what they left running."""
    with ExitStack() as stack:

        def make(root: Path, questions: int) -> Siege:
            siege = Siege(root, questions)
            stack.callback(siege.end)
            return siege

        yield make


def undisturbed(root: Path, questions: int) -> dict[str, str]:
    siege = Siege(root, questions)
    with counting_server(root / "log") as server:
        report = siege.run(server)
        assert set(server.count("asked").values()) == {1}
        assert sum(server.count("asked").values()) == CALLS * questions
    assert (report["finished"], report["replayed"]) == (questions, 0)
    assert list((siege.lake / "journal").iterdir()) == []
    return siege.contents()


@pytest.mark.parametrize(
    ("questions", "kills"), [(24, 2), pytest.param(200, 20, marks=pytest.mark.slow)], ids=["short", "long"]
)
def test_killed_runs_go_on_in_mid_rollout_and_send_no_recorded_request_again(
    tmp_path: Path, sieges: Sieges, questions: int, kills: int
) -> None:
    started = time.monotonic()
    expected = undisturbed(tmp_path / "calm", questions)
    siege, draw = sieges(tmp_path / "siege", questions), random.Random(kills)
    killed, most_results = 0, 0
    log = tmp_path / "log"
    with counting_server(log, latency_s=0.25) as server:
        finished = False
        while killed < kills and not finished:
            begin, calls_before = server.end, siege.calls.stat().st_size
            recorded, results = siege.journaled()
            recorded |= siege.held()
            process = siege.start(server)
            if killed % 5:
                wait_for_requests(process, server, begin)
                time.sleep(draw.uniform(0, 1.2))
            else:
                # In the middle of starting, as often as not.
                time.sleep(draw.uniform(0, 2.5))
            finished = not kill(process)
            killed += not finished
            assert recorded.isdisjoint(server.lines("asked", begin)), "a recorded request was sent again"
            assert results.isdisjoint(siege.called(calls_before)), "a tool was called again for a recorded result"
            most_results = max(most_results, len(results))
        begin = server.end
        recorded = siege.journaled()[0] | siege.held()
        report = siege.run(server)
        assert recorded.isdisjoint(server.lines("asked", begin))
        asked = server.count("asked")
        sent_again = sum(asked.values()) - len(asked)
    assert siege.contents() == expected
    assert len(asked) == CALLS * questions
    assert killed == kills
    assert most_results > 0 or kills < 20, "no kill came while a tool's result was recorded"
    # What was on its way to or from the server when it died is all that is asked twice.
    assert sent_again <= 16 * kills
    sys.stdout.write(
        f"\n{killed} kills in {questions} rollouts: {sum(asked.values())} requests for {len(asked)}, "
        f"{sent_again} in flight when killed; {report['replayed']} replies replayed in the last run; "
        f"{time.monotonic() - started:.0f} s\n"
    )


@pytest.mark.slow
def test_a_lying_server_changes_nothing_and_is_asked_again_only_for_what_it_did_not_answer(
    tmp_path: Path, sieges: Sieges
) -> None:
    expected = undisturbed(tmp_path / "calm", 200)
    siege, runs, retried = sieges(tmp_path / "siege", 200), 1, 0
    started = time.monotonic()
    with counting_server(tmp_path / "log", latency_s=0.02, faults=0.2) as server:
        process = siege.start(server, "--timeout", 1)
        report = ended(process, expect=None)
        while process.returncode:
            process = siege.start(server, "--timeout", 1)
            report, runs = ended(process, expect=None), runs + 1
            retried += report["retried"]
        asked, answered, faults = (server.count(kind) for kind in ("asked", "answered", "fault"))
    assert siege.contents() == expected
    assert set(answered) == set(asked)
    assert set(answered.values()) == {1}, "what was answered was asked again"
    assert set(faults) == {fault.replace(" ", "_") for fault in FAULTS}
    assert sum(asked.values()) == sum(answered.values()) + sum(faults.values())
    sys.stdout.write(
        f"\n{sum(faults.values())} faults in {sum(asked.values())} requests ({dict(faults)}): {runs} runs, "
        f"{retried} retries; {time.monotonic() - started:.0f} s\n"
    )


_SMALL_DISK = f"""
import ctypes, os, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from counting_server import counting_server
from generate_siege import Siege

def mount(size, flags):
    done = ctypes.CDLL(None, use_errno=True).mount(b"none", bytes(siege.lake), b"tmpfs", flags, b"size=" + size)
    assert done == 0, os.strerror(ctypes.get_errno())

root = Path(sys.argv[1])
siege = Siege(root / "siege", 100)
siege.lake.mkdir()
mount(b"256k", 0)
with counting_server(root / "log") as server:
    process = siege.start(server)
    out, err = process.communicate()
    assert process.returncode == 1, err
    assert "Traceback" not in err, err
    assert "cannot write the journal" in err and "is full" in err and "goes on from here" in err, err
    mount(b"64m", 32)  # MS_REMOUNT
    recorded, begin = siege.journaled()[0] | siege.held(), server.end
    assert len(recorded) > 20, recorded
    siege.run(server)
    assert recorded.isdisjoint(server.lines("asked", begin))
print(len(recorded), sorted(siege.contents().items()))
"""


@pytest.mark.slow
def test_a_full_disk_stops_a_run_with_its_name_and_loses_nothing(tmp_path: Path) -> None:
    namespaces = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*namespaces, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no user namespaces here, and so no small disk to fill")
    expected = undisturbed(tmp_path / "calm", 100)
    command = [*namespaces, sys.executable, "-c", _SMALL_DISK, str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    recorded, contents = done.stdout.split(" ", 1)
    assert contents.strip() == str(sorted(expected.items()))
    sys.stdout.write(f"\nfull disk after {recorded} recorded replies\n")


@pytest.mark.slow
def test_ctrl_c_lets_rollouts_in_flight_end_and_twice_leaves_them_to_the_journal(
    tmp_path: Path, sieges: Sieges
) -> None:
    expected = undisturbed(tmp_path / "calm", 60)
    siege = sieges(tmp_path / "siege", 60)
    with counting_server(tmp_path / "log", latency_s=0.2) as server:
        for presses in (1, 2):
            begin = server.end
            recorded = siege.journaled()[0] | siege.held()
            process = siege.start(server)
            wait_for_requests(process, server, begin)
            time.sleep(0.7)
            for _ in range(presses):
                process.send_signal(signal.SIGINT)
                time.sleep(0.05)
            report = ended(process, expect=1)
            assert report["interrupted"]
            assert (report["unfinished"] == 0) == (presses == 1)
            assert bool(siege.journaled()[0]) == (presses == 2)
            assert recorded.isdisjoint(server.lines("asked", begin))
        recorded, begin = siege.journaled()[0] | siege.held(), server.end
        report = siege.run(server)
        assert report["replayed"] > 0
        assert recorded.isdisjoint(server.lines("asked", begin))
    assert siege.contents() == expected


@pytest.mark.slow
def test_two_shards_at_once_do_each_question_once_and_two_wholes_are_refused(tmp_path: Path, sieges: Sieges) -> None:
    expected = undisturbed(tmp_path / "calm", 120)
    siege = sieges(tmp_path / "siege", 120)
    with counting_server(tmp_path / "log", latency_s=0.6) as server:
        shards = [siege.start(server, "--shard", f"{number}/2") for number in (1, 2)]
        wait_for_requests(shards[0], server, 0)
        whole = siege.start(server)
        _, said = whole.communicate()
        assert whole.returncode == 2
        assert f"process {shards[0].pid}" in said or f"process {shards[1].pid}" in said
        assert "--shard" in said
        finished = [ended(process)["finished"] for process in shards]
        assert sum(finished) == 120
        assert set(server.count("asked").values()) == {1}
    assert siege.contents() == expected


@pytest.mark.slow
def test_what_a_killed_run_left_is_taken_over_by_the_shards_that_come_after(tmp_path: Path, sieges: Sieges) -> None:
    expected = undisturbed(tmp_path / "calm", 60)
    siege = sieges(tmp_path / "siege", 60)
    with counting_server(tmp_path / "log", latency_s=0.2) as server:
        process = siege.start(server)
        wait_for_requests(process, server, 0)
        time.sleep(0.7)
        assert kill(process)
        recorded, begin = siege.journaled()[0], server.end
        reports = [ended(process) for process in [siege.start(server, "--shard", f"{n}/3") for n in (1, 2, 3)]]
        assert sum(report["replayed"] for report in reports) >= len(recorded) > 0
        assert recorded.isdisjoint(server.lines("asked", begin))
    assert siege.contents() == expected
