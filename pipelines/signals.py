"""Process signals of a lake: every trajectory that lacks one is read once, and all are judged on it.

Invariant: a trajectory has all its rows of a signal or none, for both are committed together; running again looks only
at what is new. The ratios are scored again where the best solution of their task has changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from schemas import Score
from schemas.identity import canonical_json
from toolkit.cli.output import progress
from toolkit.contracts import Verdict
from toolkit.lake.lake import Lake
from toolkit.lake.records import count_rows, read_records
from toolkit.process.effort import RATIOS, ratio_to_best
from toolkit.process.episode import Episode
from toolkit.process.signals import RATIO_SCORERS, SIGNALS, Signal

COMMIT_TRAJECTORIES = 5_000

_LACKING = """
SELECT trajectory_id FROM trajectories ANTI JOIN (
    SELECT trajectory_id FROM scores WHERE step_index IS NULL AND scorer IN ({scorers})
    GROUP BY trajectory_id HAVING count(DISTINCT scorer) = {count}
) USING (trajectory_id)
"""
_RATIOS = """
WITH best AS (
    SELECT task_id, kind, min({column}) AS best FROM trajectories_scored WHERE correct GROUP BY ALL
)
SELECT trajectory_id, attempt, t.{column} AS spent, best.best, s.details
FROM trajectories t LEFT JOIN best USING (task_id, kind)
LEFT JOIN (SELECT trajectory_id, details FROM scores WHERE scorer = '{scorer}') s USING (trajectory_id)
"""


def score_signals(lake: Lake, names: Sequence[str]) -> int:
    """Score what lacks one of the signals `names`; how many rows were written."""
    signals = [SIGNALS[name] for name in names if name in SIGNALS]
    written = _judge(lake, signals) if signals else 0
    return written + sum(_ratios(lake, name) for name in names if name in RATIOS)


def score_row(trajectory_id: str, attempt: int, scorer: str, verdict: Verdict, now: datetime) -> Score:
    """The row that keeps a verdict."""
    return Score(
        trajectory_id=trajectory_id,
        attempt=attempt,
        step_index=verdict.step_index,
        scorer=scorer,
        value=verdict.value,
        passed=verdict.passed,
        details=canonical_json(verdict.details) if verdict.details else None,
        scored_at=now,
    )


def _judge(lake: Lake, signals: list[Signal]) -> int:
    connection = lake.snapshot().connect()
    scorers = ", ".join(f"'{signal.scorer}'" for signal in signals)
    ids = _LACKING.format(scorers=scorers, count=len(signals))
    total = count_rows(connection, ids)
    written = done = 0
    with progress("signals", total, unit="trajectories") as advance:
        records = read_records(connection, ids) if total else iter(())
        while done < total:
            now = datetime.now(UTC)
            with lake.write("score --signals") as batch:
                for record in islice(records, COMMIT_TRAJECTORIES):
                    episode = Episode(record)
                    rows = list(_rows(episode, signals, now))
                    batch.add(rows)
                    written += len(rows)
                    done += 1
                    advance(done)
    connection.close()
    return written


def _rows(episode: Episode, signals: list[Signal], now: datetime) -> Iterator[Score]:
    trajectory = episode.trajectory
    for signal in signals:
        for verdict in signal.verdicts(episode):
            yield score_row(trajectory.trajectory_id, trajectory.attempt, signal.scorer, verdict, now)


def _ratios(lake: Lake, name: str) -> int:
    connection = lake.snapshot().connect()
    scorer = RATIO_SCORERS[name]
    written = 0
    now = datetime.now(UTC)
    for found in connection.sql(_RATIOS.format(column=RATIOS[name], scorer=scorer)).to_arrow_reader(10_000):
        rows = [
            row for values in found.to_pylist() if (row := _ratio(values, scorer, now)).details != values["details"]
        ]
        with lake.write("score --signals") as batch:
            batch.add(rows)
        written += len(rows)
    connection.close()
    return written


def _ratio(values: dict[str, Any], scorer: str, now: datetime) -> Score:
    verdict = ratio_to_best(values["spent"], values["best"])
    return score_row(values["trajectory_id"], values["attempt"], scorer, verdict, now)
