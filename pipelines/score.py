"""`toolkit score` and `toolkit grade`: is the final answer right, and, with `--signals`, how was it reached?

`score` grades every trajectory of a lake that its task's grader has not graded yet and
writes `scores`; `grade` does the same for lines on standard input, without a lake.
Tasks without a gold answer get no score: their `correct` is the environment's own reward,
if the import brought one.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, get_args

import duckdb
import orjson
from cyclopts import Parameter

from pipelines.signals import score_signals
from schemas import Domain, Score
from schemas.identity import canonical_json
from toolkit.cli.options import DEFAULT_LAKE, AsJson, LakePath
from toolkit.cli.output import note, print_json, print_table, progress
from toolkit.errors import RecordError
from toolkit.formats.json_values import decode
from toolkit.grading import FACT_SCORER, MATH_SCORER
from toolkit.grading.answers import Grade
from toolkit.grading.grader import Grader
from toolkit.lake.lake import Lake, open_lake
from toolkit.lake.records import count_rows
from toolkit.lake.signal_views import SUMMARY
from toolkit.process.signals import NAMES, chosen_names
from toolkit.tasks.fields import number_text

BATCH_ROWS = 10_000

_UNSCORED = f"""
SELECT t.trajectory_id, t.attempt, k.domain, t.final_answer, k.answers
FROM trajectories t JOIN tasks k USING (task_id)
ANTI JOIN scores s ON s.trajectory_id = t.trajectory_id AND s.attempt = t.attempt
     AND s.scorer = CASE k.domain WHEN 'math' THEN '{MATH_SCORER}' ELSE '{FACT_SCORER}' END
WHERE len(k.answers) > 0
"""
_OF_STUDENTS = " AND t.role = 'student'"

_SUMMARY = """
SELECT dataset, count(*) AS trajectories, count(*) FILTER (correct) AS correct,
       count(*) FILTER (NOT correct) AS wrong, count(*) FILTER (correct IS NULL) AS undecided,
       avg(f1) AS f1,
       string_agg(DISTINCT coalesce(answer_scorer, if(reward IS NULL, NULL, 'reward@source')), ', ') AS by
FROM trajectories_scored GROUP BY dataset ORDER BY dataset
"""


def score_lake(lake: Lake, *, workers: int | None = None, students: bool = False) -> Counter[str]:
    """Grade what is not graded yet; how many were `correct`, `wrong`, `undecided`.

    With `students` only what they answered.
    Commits every ten thousand rows, so that an interrupted run goes on where it stopped.
    """
    counts: Counter[str] = Counter()
    connection = lake.snapshot().connect()
    unscored = _UNSCORED + _OF_STUDENTS if students else _UNSCORED
    total = count_rows(connection, unscored)
    done = 0
    with Grader(workers=workers) as grader, progress("score", total, unit="answers") as advance:
        for rows in _batches(connection, unscored):
            items = [(row["domain"], row["final_answer"], row["answers"]) for row in rows]
            now = datetime.now(UTC)
            with lake.write("score") as batch:
                for row, grade in zip(rows, grader.grade(items), strict=True):
                    batch.add([_score(row, grade, now)])
                    counts[_word(grade)] += 1
                    done += 1
                    advance(done)
    connection.close()
    return counts


def _batches(connection: duckdb.DuckDBPyConnection, unscored: str) -> Iterator[list[dict[str, Any]]]:
    for batch in connection.sql(unscored).to_arrow_reader(BATCH_ROWS):
        yield batch.to_pylist()


def _word(grade: Grade) -> str:
    return {True: "correct", False: "wrong", None: "undecided"}[grade.correct]


def _score(row: dict[str, Any], grade: Grade, now: datetime) -> Score:
    math = row["domain"] == "math"
    value = grade.f1 if not math else None if grade.correct is None else float(grade.correct)
    details = {"em": grade.em, "f1": grade.f1, "reason": grade.reason}
    return Score(
        trajectory_id=row["trajectory_id"],
        attempt=row["attempt"],
        scorer=MATH_SCORER if math else FACT_SCORER,
        value=value,
        passed=grade.correct,
        details=canonical_json({name: found for name, found in details.items() if found is not None}),
        scored_at=now,
    )


def score_command(
    *,
    lake: LakePath = DEFAULT_LAKE,
    signals: Annotated[str | None, Parameter(help=f"Process signals as well: all, or of {', '.join(NAMES)}.")] = None,
    workers: Annotated[int | None, Parameter(help="Processes for math grading; default: one a core.")] = None,
    json: AsJson = False,
) -> None:
    """Grade the final answers that have not been graded yet, and, if asked, look at how they were reached.

    Args:
        lake: Directory of the lake.
        signals: Process signals to score as well: all, or names with commas between them.
        workers: Processes for math grading; default: one a core.
        json: Print one JSON document.
    """
    names = chosen_names(signals) if signals is not None else ()
    opened = open_lake(lake)
    counts = score_lake(opened, workers=workers)
    if names:
        note(f"signals: {score_signals(opened, names):,} scores written")
    found = opened.sql(SUMMARY.format(chosen=""))
    process = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall() if row[0] in names]
    relation = opened.sql(_SUMMARY)
    rows = relation.fetchall()
    ungraded = opened.sql("SELECT count(*) FROM trajectories JOIN tasks USING (task_id) WHERE len(answers) = 0")
    without_gold = int(ungraded.fetchall()[0][0])
    if json:
        datasets = [dict(zip(relation.columns, row, strict=True)) for row in rows]
        answers = {"graded": counts.total(), **counts, "without_gold": without_gold, "datasets": datasets}
        print_json({**answers, "signals": process})
        return
    print_table(relation.columns, rows, title="answers by dataset")
    if process:
        print_table(list(process[0]), [list(row.values()) for row in process], title="process signals")
    note(f"graded {counts.total():,} answers now")
    if without_gold:
        note(f"{without_gold:,} trajectories have no gold answer: `correct` is their source's reward, if any")


def grade_command(
    *,
    domain: Annotated[Domain, Parameter(help="How answers are compared.")] = "fact",
    workers: Annotated[int | None, Parameter(help="Processes for math grading; default: one a core.")] = None,
) -> None:
    """Grade JSON lines from standard input: {"prediction", "answers"} → {"correct", "em", "f1"}, in order.

    `correct` is null where math equivalence could not be decided; `reason` then says why.

    Args:
        domain: `fact`: exact match after SQuAD normalization; `math`: mathematical equivalence.
        workers: Processes for math grading; default: one a core.
    """
    with Grader(workers=workers) as grader:
        for grade in grader.grade(_lines(sys.stdin.buffer, domain)):
            found: dict[str, object] = {"correct": grade.correct, "em": grade.em, "f1": grade.f1}
            if grade.reason is not None:
                found["reason"] = grade.reason
            sys.stdout.write(orjson.dumps(found).decode() + "\n")


def _lines(lines: Iterable[bytes], domain: Domain) -> Iterator[tuple[Domain, str | None, Sequence[str]]]:
    assert domain in get_args(Domain)
    for number, line in enumerate(lines, start=1):
        if line.strip():
            prediction, answers = _pair(line, number)
            yield domain, prediction, answers


def _pair(line: bytes, number: int) -> tuple[str | None, list[str]]:
    """Prediction and gold answers of one line; numbers are taken as the text that a person would write.

    Raises:
        RecordError: not JSON, or without prediction or answers.
    """
    try:
        value = decode(line)
    except RecordError as error:
        raise RecordError(error.reason, path="standard input", position=number) from error
    if not isinstance(value, dict) or "prediction" not in value:
        raise RecordError('expected {"prediction": …, "answers": […]}', path="standard input", position=number)
    answers = value.get("answers", value.get("answer"))
    answers = answers if isinstance(answers, list) else [answers]
    if not answers or not all(isinstance(answer, str | int | float) for answer in answers):
        raise RecordError(
            f'"answers" must hold at least one gold answer, got {answers!r}', path="standard input", position=number
        )
    prediction = value["prediction"]
    return None if prediction is None else _text(prediction), [_text(answer) for answer in answers]


def _text(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number_text(value)
    return str(value)
