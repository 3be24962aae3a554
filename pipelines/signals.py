"""Process signals of a lake: every trajectory that lacks one is read once, and all are judged on it.

Invariant: a trajectory has all its rows of a signal or none, for both are committed together; running again looks only
at what is new. `effort` is scored again where the best solution of its task has changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import duckdb

from schemas import Score
from schemas.identity import canonical_json
from toolkit.cli.output import progress
from toolkit.contracts import Verdict
from toolkit.lake.lake import Lake
from toolkit.lake.records import read_records
from toolkit.process.effort import Best, effort
from toolkit.process.episode import Episode
from toolkit.process.signals import EFFORT, SIGNALS, Signal

COMMIT_TRAJECTORIES = 5_000

_LACKING = """
SELECT trajectory_id FROM trajectories ANTI JOIN (
    SELECT trajectory_id FROM scores WHERE step_index IS NULL AND scorer IN ({scorers})
    GROUP BY trajectory_id HAVING count(DISTINCT scorer) = {count}
) USING (trajectory_id)
"""
_EFFORTS = f"""
WITH best AS (
    SELECT task_id, kind, min(n_steps) AS steps, min(completion_tokens) AS tokens
    FROM trajectories_scored WHERE correct GROUP BY ALL
)
SELECT trajectory_id, attempt, t.n_steps, t.completion_tokens, best.steps, best.tokens, s.details
FROM trajectories t LEFT JOIN best USING (task_id, kind)
LEFT JOIN (SELECT trajectory_id, details FROM scores WHERE scorer = '{EFFORT}') s USING (trajectory_id)
"""


def score_signals(lake: Lake, names: Sequence[str]) -> int:
    """Score what lacks one of the signals `names`; how many rows were written."""
    signals = [SIGNALS[name] for name in names if name in SIGNALS]
    written = _judge(lake, signals) if signals else 0
    return written + (_efforts(lake) if EFFORT.split("@")[0] in names else 0)


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
    total = _count(connection, ids)
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


def _efforts(lake: Lake) -> int:
    connection = lake.snapshot().connect()
    written = 0
    now = datetime.now(UTC)
    reader = connection.sql(_EFFORTS).to_arrow_reader(10_000)
    for found in reader:
        rows = [row for row in map(lambda values: _effort(values, now), found.to_pylist()) if row is not None]
        with lake.write("score --signals") as batch:
            batch.add(rows)
        written += len(rows)
    connection.close()
    return written


def _effort(values: dict[str, Any], now: datetime) -> Score | None:
    """The row of one trajectory. None: the lake says the same already."""
    best = Best(values["steps"], values["tokens"]) if values["steps"] is not None else None
    verdict = effort(values["n_steps"], values["completion_tokens"], best)
    row = score_row(values["trajectory_id"], values["attempt"], EFFORT, verdict, now)
    return row if row.details != values["details"] else None


def _count(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM ({query})").fetchall()[0][0])
