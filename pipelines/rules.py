"""What each rule of a recipe does to the rows that are still in.

Invariant: a rule only ever moves rows from `alive` to `dropped`, each with the evidence that
it saw; `alive` and `dropped` together are always the input. Masks change weights, not rows.
All work is out of core, in SQL but for near-duplicates (`near_duplicates`). Ties are broken by
dataset, position and id, never by the order in which files were read, so that equal inputs give
equal selections.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches

import duckdb
import pyarrow as pa

from pipelines.quotas import Quota, quota_query, quotas_of, sizes_query
from pipelines.recipe import (
    BestOf,
    Decontaminate,
    Dedup,
    MaskSteps,
    MaxTokens,
    Review,
    Rule,
    Sample,
    Where,
    Within,
    rule_name,
)
from pipelines.rule_queries import (
    best_of_query,
    dedup_query,
    inherited_weights_query,
    mask_query,
    max_tokens_query,
    order_columns,
    review_query,
    where_query,
    within_query,
)
from toolkit.contamination.index import Question
from toolkit.errors import InputError, QueryError
from toolkit.lake.lake import Lake
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

    def __init__(self, connection: duckdb.DuckDBPyConnection, lake: Lake, *, is_dry: bool) -> None:
        self.connection = connection
        self._lake, self._is_dry = lake, is_dry
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
            label = f"{position}: {rule_name(rule)}{rule.place}"
            try:
                if isinstance(rule, Where):
                    parse_predicate(self.connection, rule.where, "trajectories_scored")
                elif isinstance(rule, MaskSteps):
                    predicate = parse_predicate(self.connection, rule.mask_steps, "steps_scored")
                    if "review_verdict" in predicate.columns:
                        self._need_reviews("step_index IS NOT NULL", None)
                elif isinstance(rule, Review):
                    self._need_reviews("step_index IS NULL", rule.review.project)
                elif isinstance(rule, Within):
                    self._selection(rule.within)
                elif isinstance(rule, Decontaminate):
                    self._load_benchmarks(position, rule)
            except InputError as error:
                raise type(error)(f"step {label}: {error}") from error
            for column in order_columns(rule):
                if column not in columns:
                    close = get_close_matches(column, columns, n=1)
                    hint = f"; did you mean {close[0]!r}?" if close else ""
                    raise QueryError(f"step {label}: trajectories_scored has no column {column!r}{hint}")

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
            query = dedup_query(rule) if rule.dedup.jaccard is None else self._near_duplicates(rule, notes)
        elif isinstance(rule, BestOf):
            query = best_of_query(rule)
        elif isinstance(rule, MaxTokens):
            query = max_tokens_query(rule)
        elif isinstance(rule, Within):
            return self._within(rule, label, before)
        elif isinstance(rule, Review):
            query = review_query(rule)
        else:
            query = self._quota_query(rule, label)
            if isinstance(rule, Sample) and rule.sample.n > before:
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

    def _near_duplicates(self, rule: Dedup, notes: list[str]) -> str:
        # Only here: numpy and rensa are slow to load, and most recipes need neither.
        from pipelines.near_duplicates import DROPS, find_near_duplicates

        notes.append(find_near_duplicates(self.connection, self._lake, rule.dedup, is_dry=self._is_dry))
        return DROPS

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

    def _within(self, rule: Within, label: str, before: int) -> Applied:
        selection_id = self._selection(rule.within)
        dropped = self._drop(within_query(rule.within, selection_id), label)
        masked = self.count("masks")
        self.connection.execute(inherited_weights_query(selection_id), [label])
        return Applied(label, before, dropped, masked_steps=self.count("masks") - masked)

    def _selection(self, name: str) -> str:
        """Id of the newest selection called `name`.

        Raises:
            QueryError: there is none; the message names those that exist.
        """
        found = dict(self.connection.execute("SELECT name, selection_id FROM selections ORDER BY name").fetchall())
        if name not in found:
            raise QueryError(f"there is no selection {name!r}; there are {', '.join(found) or 'none'}")
        return str(found[name])

    def _quota_query(self, rule: Quota, label: str) -> str:
        sizes = self.connection.execute(sizes_query(rule)).fetchall()
        try:
            quotas = quotas_of(rule, sizes)
        except QueryError as error:
            raise QueryError(f"step {label}{rule.place}: {error}") from error
        columns = [[value for value, _ in sizes], [size for _, size in sizes], quotas]
        arrays = [pa.array(column, kind) for column, kind in zip(columns, _QUOTA_TYPES, strict=True)]
        self.connection.register("counted", pa.table(arrays, names=["value", "rows", "quota"]))
        self.connection.execute("CREATE OR REPLACE TEMP TABLE quotas AS SELECT * FROM counted")
        self.connection.unregister("counted")
        return quota_query(rule)


_QUOTA_TYPES = (pa.string(), pa.int64(), pa.int64())
