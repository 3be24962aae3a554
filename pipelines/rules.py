"""What each rule of a recipe does to the rows that are still in.

Invariant: a rule only ever moves rows from `alive` to `dropped`, each with the evidence that
it saw; `alive` and `dropped` together are always the input. Masks change weights, not rows.
All work is SQL in DuckDB, out of core. Ties are broken by dataset, position and id, never by
the order in which files were read, so that equal inputs give equal selections.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import duckdb

from pipelines.recipe import BestOf, Decontaminate, Dedup, MaskSteps, Review, Rule, Sample, Where, rule_name
from pipelines.rule_queries import (
    best_of_query,
    dedup_query,
    mask_query,
    order_columns,
    review_query,
    sample_query,
    stratum_of,
    where_query,
)
from toolkit.contamination.index import Question
from toolkit.errors import InputError, QueryError
from toolkit.lake.predicate import parse_predicate
from toolkit.lake.signal_views import SIGNAL_OF, unscored_query


@dataclass(frozen=True, slots=True)
class Applied:
    """What one rule did."""

    label: str
    """Position and name, as in the decisions."""
    before: int
    dropped: int
    masked_steps: int = 0
    notes: list[str] = field(default_factory=list)
    """What the person who runs the filter should know."""
    found: list[dict[str, object]] = field(default_factory=list)
    """Of `decontaminate`: benchmark, kind, match and fate of hits, with questions and trajectories."""


class Funnel:
    """The rows on their way through a recipe."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self._benchmarks: dict[int, list[Question]] = {}
        connection.execute("CREATE TEMP TABLE alive AS SELECT trajectory_id FROM trajectories")
        connection.execute(
            "CREATE TEMP TABLE dropped (trajectory_id VARCHAR, rule VARCHAR, evidence VARCHAR, nearest_kept_id VARCHAR)"
        )
        connection.execute("CREATE TEMP TABLE reported (trajectory_id VARCHAR, rule VARCHAR, evidence VARCHAR)")
        connection.execute(
            "CREATE TEMP TABLE masks (trajectory_id VARCHAR, step_index BIGINT, weight DOUBLE, rule VARCHAR)"
        )

    def check(self, rules: list[Rule]) -> None:
        """Check every predicate and column, and read every benchmark, before the first rule runs.

        Raises:
            QueryError: a predicate or a column does not fit; the message names the rule.
            InputError: a benchmark cannot be used; likewise.
        """
        columns = self.connection.sql("SELECT * FROM trajectories_scored LIMIT 0").columns
        for position, rule in enumerate(rules, start=1):
            label = f"{position}: {rule_name(rule)}"
            try:
                if isinstance(rule, Where):
                    parse_predicate(self.connection, rule.where, "trajectories_scored")
                elif isinstance(rule, MaskSteps):
                    predicate = parse_predicate(self.connection, rule.mask_steps, "steps_scored")
                    if "review_verdict" in predicate.columns:
                        self._need_reviews("step_index IS NOT NULL", None)
                elif isinstance(rule, Review):
                    self._need_reviews("step_index IS NULL", rule.review.project)
                elif isinstance(rule, Decontaminate):
                    self._load_benchmarks(position, rule)
            except InputError as error:
                raise type(error)(f"step {label}: {error}") from error
            for column in order_columns(rule):
                if column not in columns:
                    raise QueryError(f"step {label}: trajectories_scored has no column {column!r}")

    def apply(self, position: int, rule: Rule) -> Applied:
        """Run one rule."""
        label = f"{position}: {rule_name(rule)}"
        before = self.count("alive")
        notes = self._unscored(rule, label)
        if isinstance(rule, MaskSteps):
            return Applied(label, before, 0, masked_steps=self._mask(rule, label), notes=notes)
        if isinstance(rule, Decontaminate):
            return self._decontaminate(position, rule, label, before)
        if isinstance(rule, Where):
            query = where_query(parse_predicate(self.connection, rule.where, "trajectories_scored"), self._types())
        elif isinstance(rule, Dedup):
            query = dedup_query(rule)
        elif isinstance(rule, BestOf):
            query = best_of_query(rule)
        elif isinstance(rule, Review):
            query = review_query(rule)
        else:
            query = self._sample_sql(rule)
            if rule.sample.n > before:
                notes.append(f"step {label} asks for {rule.sample.n:,} trajectories; only {before:,} are left")
        return Applied(label, before, self._drop(query, label), notes=notes)

    def count(self, table: str) -> int:
        """Rows of one of the funnel's tables."""
        return int(self.connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])

    def _need_reviews(self, which: str, project: str | None) -> None:
        """See that there is a verdict of the kind that the rule asks for.

        Without one, the rule would drop everything or mask nothing, which nobody means.
        """
        query = f"SELECT DISTINCT project FROM reviews WHERE verdict IS NOT NULL AND {which} ORDER BY 1"
        projects = [str(row[0]) for row in self.connection.execute(query).fetchall()]
        if not projects:
            what = "a whole trajectory" if "NOT" not in which else "a step"
            raise QueryError(f"the lake holds no review of {what}; `toolkit review pull --project TITLE` brings them")
        if project is not None and project not in projects:
            raise QueryError(f"there is no review of the project {project!r}; there are {', '.join(projects)}")

    def _drop(self, query: str, label: str) -> int:
        """Move the rows that `query` names (trajectory_id, evidence, nearest_kept_id) from alive to dropped."""
        before = self.count("dropped")
        self.connection.execute(
            f"INSERT INTO dropped SELECT trajectory_id, ?, evidence, nearest_kept_id FROM ({query})", [label]
        )
        self.connection.execute("DELETE FROM alive WHERE trajectory_id IN (SELECT trajectory_id FROM dropped)")
        return self.count("dropped") - before

    def _mask(self, rule: MaskSteps, label: str) -> int:
        before = self.count("masks")
        self.connection.execute(mask_query(rule), [label])
        return self.count("masks") - before

    def _unscored(self, rule: Rule, label: str) -> list[str]:
        """What to say if the rule names process signals for which rows were never scored: there they are null."""
        if isinstance(rule, Where):
            predicate = parse_predicate(self.connection, rule.where, "trajectories_scored")
        elif isinstance(rule, MaskSteps):
            predicate = parse_predicate(self.connection, rule.mask_steps, "steps_scored")
        else:
            return []
        signals = dict.fromkeys(SIGNAL_OF[column] for column in predicate.columns if column in SIGNAL_OF)
        counted = {name: self.connection.execute(unscored_query(name, "alive")).fetchall()[0][0] for name in signals}
        return [
            f"step {label}: {missing:,} trajectories were never scored for {name}, which is null there"
            for name, missing in counted.items()
            if missing
        ]

    def _load_benchmarks(self, position: int, rule: Decontaminate) -> None:
        # Only here: most recipes need no benchmark.
        from pipelines.decontamination import load_benchmarks

        self._benchmarks[position] = load_benchmarks(self.connection, rule.decontaminate.against)

    def _decontaminate(self, position: int, rule: Decontaminate, label: str, before: int) -> Applied:
        from pipelines.decontamination import DROPS, REPORTS, find_contamination

        found = find_contamination(self.connection, self._benchmarks[position], rule.decontaminate)
        self.connection.execute(f"INSERT INTO reported SELECT trajectory_id, ?, evidence FROM ({REPORTS})", [label])
        return Applied(label, before, self._drop(DROPS, label), found=found)

    def _types(self) -> dict[str, str]:
        relation = self.connection.sql("SELECT * FROM trajectories_scored LIMIT 0")
        return dict(zip(relation.columns, map(str, relation.types), strict=True))

    def _sample_sql(self, rule: Sample) -> str:
        counted = self.connection.execute(
            f"SELECT {stratum_of(rule)} AS stratum, count(*) FROM trajectories_scored"
            " SEMI JOIN alive USING (trajectory_id) GROUP BY 1 ORDER BY 1 NULLS FIRST"
        ).fetchall()
        quotas = share_out(rule.sample.n, [rows for _, rows in counted])
        self.connection.execute("CREATE OR REPLACE TEMP TABLE quotas (stratum VARCHAR, rows BIGINT, quota BIGINT)")
        for (name, rows), quota in zip(counted, quotas, strict=True):
            self.connection.execute("INSERT INTO quotas VALUES (?, ?, ?)", [name, rows, quota])
        return sample_query(rule)


def share_out(n: int, sizes: list[int]) -> list[int]:
    """Split `n` over strata in proportion to `sizes`, none above its size (largest remainders).

    The shares add up to `min(n, sum(sizes))`.
    """
    total = sum(sizes)
    if n >= total:
        return list(sizes)
    shares = [n * size // total for size in sizes]
    by_remainder = sorted(range(len(sizes)), key=lambda index: (-(n * sizes[index] % total), index))
    for index in by_remainder[: n - sum(shares)]:
        shares[index] += 1
    return shares
