"""What the pool leaves behind: nothing, however it ends."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from grading_processes import HANGING, wait_until, workers

from schemas import Domain
from toolkit.errors import RunError
from toolkit.grading.answers import Grade
from toolkit.grading.grader import Grader
from toolkit.grading.pool import CHUNK_PAIRS, MathPool


def test_a_pair_whose_process_is_killed_is_undecided_and_no_process_outlives_the_pool() -> None:
    before = workers()
    with MathPool(workers=1, timeout_s=600) as own, ThreadPoolExecutor(1) as thread:
        assert next(own.grade([("5", ["5"])])).correct is True
        (worker,) = workers() - before
        hanging = thread.submit(list, own.grade([(HANGING, ["5"])]))
        idle_s = worker.cpu_times().user
        wait_until(lambda: worker.cpu_times().user > idle_s + 0.3)
        worker.kill()
        assert hanging.result() == [Grade(None, 0, 0, "the grading process died (exit status -9)")]
    assert workers() == before


def test_no_process_is_left_after_an_error_of_the_consumer() -> None:
    before = workers()
    own = MathPool(workers=1, timeout_s=600)

    def consume() -> None:
        with own:
            for _ in own.grade([("5", ["5"])] * CHUNK_PAIRS + [(HANGING, ["5"])] * CHUNK_PAIRS):
                assert workers() > before
                raise KeyError("consumer")

    with pytest.raises(KeyError, match="consumer"):
        consume()
    assert workers() == before
    with pytest.raises(RunError, match="closed"):
        list(own.grade([("5", ["5"])]))


SCRIPT = rf"""
import sys
from toolkit.grading.pool import CHUNK_PAIRS, MathPool

if __name__ == "__main__":
    with MathPool(workers=1, timeout_s=float(sys.argv[1])) as pool:
        for grade in pool.grade([("5", ["5"])] * CHUNK_PAIRS + [({HANGING!r}, ["5"])] * CHUNK_PAIRS):
            print(grade.correct, flush=True)
"""


@pytest.mark.parametrize(("ending", "timeout_s"), [(signal.SIGINT, 600), (signal.SIGKILL, 1.0)])
def test_no_process_outlives_an_interrupted_program(tmp_path: Path, ending: signal.Signals, timeout_s: float) -> None:
    script = tmp_path / "program.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(timeout_s)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"True\n"
        processes = psutil.Process(program.pid).children(recursive=True)
        if ending is signal.SIGINT:
            os.killpg(program.pid, ending)  # as a terminal does on Ctrl-C
        else:
            program.send_signal(ending)
        assert program.wait(timeout=30) == -ending
    _, left = psutil.wait_procs(processes, timeout=30)
    assert left == []


def test_a_grader_compares_by_domain_and_starts_processes_for_mathematics_only() -> None:
    before = workers()
    facts: list[tuple[Domain, str, list[str]]] = [
        ("fact", "The Denver", ["Denver"]),
        ("other", "0.5", ["1/2"]),
        ("fact", "x", []),
    ]
    with Grader(workers=1) as grader:
        assert [grade.correct for grade in grader.grade(facts * 100)] == [True, False, None] * 100
        assert workers() == before
        mixed: list[tuple[Domain, str, list[str]]] = [*facts, ("math", "0.5", ["1/2"]), ("math", "Denver", ["1/2"])]
        assert [grade.correct for grade in grader.grade(mixed * 40)] == [True, False, None, True, False] * 40
