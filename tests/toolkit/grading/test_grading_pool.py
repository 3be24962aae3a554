"""What the pool promises while processes hang and die."""

import time
from collections.abc import Generator, Iterator

import pytest
from grading_processes import HANGING, is_dead, wait_until, workers

from toolkit.errors import InputError
from toolkit.grading.answers import Grade
from toolkit.grading.pool import CHUNK_PAIRS, MAX_IN_FLIGHT, MathPool

HANGING_IN_PARSER = "(" * 600 + "1" + ")" * 600


def roots(start: int, stop: int) -> list[tuple[str, list[str]]]:
    """Right pairs that need sympy, each of them different."""
    return [(f"{k}*sqrt(2)", [rf"\sqrt{{{2 * k * k}}}"]) for k in range(start, stop)]


@pytest.fixture(scope="module")
def pool() -> Iterator[MathPool]:
    with MathPool(workers=2, timeout_s=1.0) as pool:
        yield pool


def test_grades_come_in_the_order_of_the_pairs(pool: MathPool) -> None:
    pairs = [(str(k), [str(k if k % 3 else -k - 1)]) for k in range(3 * CHUNK_PAIRS + 5)]
    assert [grade.correct for grade in pool.grade(pairs)] == [bool(k % 3) for k in range(len(pairs))]


def test_a_math_grade_carries_the_metrics_of_the_text(pool: MathPool) -> None:
    (grade,) = pool.grade([("0.5 cm", ["1/2", "0.5"])])
    assert (grade.correct, grade.em) == (True, 0)
    assert grade.f1 == pytest.approx(2 / 3)
    assert next(pool.grade([("1/2", ["0.5"])])) == Grade(True, 0, 0)


def test_a_missing_prediction_is_wrong_and_a_missing_gold_answer_is_undecided(pool: MathPool) -> None:
    grades = list(pool.grade([(None, ["5"]), (" ", ["5"]), ("5", []), ("5", [""])]))
    assert [grade.correct for grade in grades] == [False, False, None, None]
    assert grades[2].reason == "no gold answer is known"


@pytest.mark.parametrize(("workers", "timeout_s"), [(0, 5.0), (-1, 5.0), (None, 0.0), (1, -1.0)])
def test_impossible_limits_are_refused(workers: int | None, timeout_s: float) -> None:
    with pytest.raises(InputError, match="got"):
        MathPool(workers, timeout_s)


def test_one_text_in_place_of_a_list_of_answers_is_refused(pool: MathPool) -> None:
    with pytest.raises(InputError, match="wrap it in a list"):
        list(pool.grade([("5", "5")]))


def test_only_the_pairs_that_hang_are_undecided(pool: MathPool) -> None:
    pairs = roots(2, 2 + CHUNK_PAIRS + 20)
    hanging = {7: HANGING, 40: HANGING_IN_PARSER}
    for position, expression in hanging.items():
        pairs[position] = (expression, ["5"])
    grades = list(pool.grade(pairs))
    assert {index for index, grade in enumerate(grades) if grade.correct is not True} == set(hanging)
    assert all(grades[index] == Grade(None, 0, 0, "took longer than 1 s of processor time") for index in hanging)


def test_reading_ahead_is_bounded(pool: MathPool) -> None:
    read = 0

    def endless() -> Iterator[tuple[str, list[str]]]:
        nonlocal read
        while True:
            read += 1
            yield "5", ["5"]

    grades = pool.grade(endless())
    for done in range(1, 200):
        assert next(grades).correct is True
        assert read <= done + MAX_IN_FLIGHT + CHUNK_PAIRS


def test_a_killed_process_changes_no_verdict(pool: MathPool) -> None:
    pairs = roots(200, 200 + 4 * CHUNK_PAIRS)
    grades = pool.grade(pairs)
    found = [next(grades)]
    time.sleep(0.15)  # into the next chunks: between two, a process holds the pipe's lock, and losing it costs 5 s
    max(workers(), key=lambda worker: worker.cpu_times().user).kill()
    found += grades
    assert [grade.correct for grade in found] == [True] * len(pairs)


def test_processes_killed_while_idle_are_replaced(pool: MathPool) -> None:
    assert next(pool.grade([("5", ["5"])])).correct is True
    idle = workers()
    for worker in idle:
        worker.kill()
    wait_until(lambda: all(map(is_dead, idle)))
    assert [grade.correct for grade in pool.grade(roots(2, 12))] == [True] * 10


def test_an_abandoned_stream_leaves_the_pool_usable(pool: MathPool) -> None:
    grades = pool.grade(roots(600, 600 + 3 * CHUNK_PAIRS))
    assert next(grades).correct is True
    assert isinstance(grades, Generator)
    grades.close()
    assert next(pool.grade([("1/2", ["0.5"])])).correct is True


def test_a_large_program_can_grade() -> None:
    ballast = bytearray(600 << 20)
    ballast[::4096] = b"x" * len(ballast[::4096])
    with MathPool(workers=1) as pool:
        grades = list(pool.grade([("1/2", ["0.5"])] * 3))
    assert [grade.correct for grade in grades] == [True] * 3
    assert len(ballast) > 512 << 20
