"""What there is to judge in a lake, what was judged, and what that cost.

Invariant: a verdict that the lake holds is never asked for again: its score names the content that it is about, and
equal content of another trajectory takes it over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import duckdb
import orjson

from toolkit.judging.cases import Case, cases_of
from toolkit.judging.judge import Judge
from toolkit.judging.rubric import Answer, Rubric
from toolkit.lake.literal import literal
from toolkit.lake.predicate import evaluating, parse_predicate
from toolkit.lake.records import read_records
from toolkit.lake.selections import find_selection
from toolkit.lake.snapshot import Snapshot

_FIT = {
    # With an answer to compare, and something to compare it with.
    "factual": "trim(final_answer) <> '' AND len(list_filter(answers, lambda answer: trim(answer) <> '')) > 0",
    # The rubrics of the others speak of agents; a chain of thought has no actions.
    "step": "question IS NOT NULL AND kind = 'agent' AND n_steps > 0",
    "rollout": "question IS NOT NULL AND kind = 'agent'",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which trajectories a call is about."""

    where: str | None = None
    """A predicate over `trajectories_scored`. None: all."""
    selection: str | None = None
    """Only what this selection keeps. None: the whole lake."""
    limit: int | None = None
    """Only the first, by id, which is derived and therefore as good as drawn. None: all."""


class Known:
    """A snapshot of the lake as one judge sees it.

    Raises:
        InputError: there is no such selection.
        QueryError: the predicate does not fit; or, from whatever counts or reads what is wanted, does not run.
    """

    def __init__(self, snapshot: Snapshot, judge: Judge, wanted: Wanted) -> None:
        self._judge = judge
        self._where = wanted.where
        self._connection = snapshot.connect()
        self._chosen = _chosen(snapshot, self._connection, judge.rubric, wanted)
        self._scorer = literal(judge.scorer)

    def close(self) -> None:
        """Let go of the lake."""
        self._connection.close()

    @property
    def trajectories(self) -> int:
        """How many the call is about."""
        return self._count(f"SELECT count(*) FROM ({self._chosen})")

    @property
    def total(self) -> int:
        """Judgements on them: one each, or one a step."""
        each = "sum(n_steps)" if self._judge.rubric.of_steps else "count(*)"
        return self._count(f"SELECT {each} FROM trajectories SEMI JOIN ({self._chosen}) USING (trajectory_id)")

    @property
    def done(self) -> int:
        """Judgements of these that the lake holds."""
        of = f"scorer = {self._scorer}"
        return self._count(f"SELECT count(*) FROM scores SEMI JOIN ({self._chosen}) USING (trajectory_id) WHERE {of}")

    def cases(self) -> Iterator[Case]:
        """What is left to judge, in order of trajectory_id and step."""
        held = f"SELECT trajectory_id, count(*) AS judged FROM scores WHERE scorer = {self._scorer} GROUP BY 1"
        units = "n_steps" if self._judge.rubric.of_steps else "1"
        ids = f"""
            SELECT trajectory_id FROM trajectories SEMI JOIN ({self._chosen}) USING (trajectory_id)
            LEFT JOIN ({held}) USING (trajectory_id) WHERE coalesce(judged, 0) < {units}"""
        judged = f"SELECT trajectory_id, step_index FROM scores WHERE scorer = {self._scorer}"
        done = set(self._connection.execute(judged).fetchall())
        for record in read_records(self._connection, ids):
            for case in cases_of(self._judge.rubric.name, record):
                if (case.trajectory_id, case.step_index) not in done:
                    yield case

    def answers(self) -> dict[str, Answer]:
        """The verdicts that the lake holds, by the content that they are about."""
        fields = tuple(self._judge.rubric.answer.model_fields)
        query = f"SELECT details FROM raw.scores WHERE scorer = {self._scorer}"
        rows = (orjson.loads(text) for (text,) in self._connection.execute(query).fetchall())
        return {
            row["key"]: self._judge.rubric.answer.model_validate({name: row[name] for name in fields}) for row in rows
        }

    def spent(self) -> tuple[int, int, int]:
        """Calls that the lake holds answers of, and the tokens read and written for them."""
        query = f"""
            SELECT count(*), coalesce(sum(CAST(details->>'prompt_tokens' AS BIGINT)), 0),
                   coalesce(sum(CAST(details->>'completion_tokens' AS BIGINT)), 0)
            FROM raw.scores WHERE scorer = {self._scorer} AND details->>'prompt_tokens' IS NOT NULL"""
        calls, read, written = self._connection.execute(query).fetchall()[0]
        return int(calls), int(read), int(written)

    def verdicts(self) -> dict[str, int]:
        """All verdicts of this judge on current trajectories."""
        query = f"""
            SELECT details->>'verdict' AS verdict, count(*) FROM scores WHERE scorer = {self._scorer}
            GROUP BY 1 ORDER BY 2 DESC, 1"""
        return dict(self._connection.execute(query).fetchall())

    def _count(self, query: str) -> int:
        with evaluating(self._where):
            return int(self._connection.execute(query).fetchall()[0][0] or 0)


def _chosen(snapshot: Snapshot, connection: duckdb.DuckDBPyConnection, rubric: Rubric, wanted: Wanted) -> str:
    """SELECT of the ids."""
    parts = [_FIT[rubric.name]]
    if wanted.where is not None:
        parts.append(f"(\n{parse_predicate(connection, wanted.where, 'trajectories_scored').text}\n)")
    if wanted.selection is not None:
        found = find_selection(snapshot, wanted.selection)
        kept = f"SELECT trajectory_id FROM decisions WHERE kept AND selection_id = {literal(found.selection_id)}"
        parts.append(f"trajectory_id IN ({kept})")
    first = "" if wanted.limit is None else f"ORDER BY trajectory_id LIMIT {wanted.limit}"
    return f"SELECT trajectory_id FROM trajectories_scored WHERE {' AND '.join(parts)} {first}"
