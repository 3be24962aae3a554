"""The SQL of each rule: which of the rows that are still in it drops, and on what evidence.

Every query gives (trajectory_id, evidence, nearest_kept_id) for the rows to drop. Ties are
broken by dataset, position and id, never by the order in which files were read.
"""

from __future__ import annotations

from pipelines.quotas import column_of
from pipelines.recipe import Balance, BestOf, Dedup, MaskSteps, MaxTokens, Mix, Review, Rule, Sample
from toolkit.lake.literal import literal
from toolkit.lake.predicate import Predicate

FIRST = "dataset, source_position NULLS LAST, task_id, sample_index, trajectory_id"
STILL_IN = "SEMI JOIN alive USING (trajectory_id)"
TEXT_CHARS = 200
"""Characters of a text column that go into the evidence."""

_SAME = {
    "trajectory": "SELECT *, content_hash AS same FROM trajectories_scored",
    "task": r"SELECT *, lower(trim(regexp_replace(question, '\s+', ' ', 'g'))) AS same FROM trajectories_scored",
    "actions": """
        SELECT * FROM trajectories_scored JOIN (
            SELECT trajectory_id, md5(string_agg(md5(code), '' ORDER BY step_index)) AS same
            FROM steps WHERE code IS NOT NULL GROUP BY 1
        ) USING (trajectory_id)""",
}
"""What dedup compares: rows with equal `same` are duplicates."""


def order_columns(rule: Rule) -> list[str]:
    """Columns of `trajectories_scored` that a rule orders or groups by."""
    if isinstance(rule, BestOf):
        return [term.split()[0] for term in rule.best_of.order_by]
    if isinstance(rule, Sample | Mix | Balance) and (column := column_of(rule)):
        return [column]
    return []


def where_query(predicate: Predicate, types: dict[str, str]) -> str:
    """Rows for which the predicate is not true, with the parts that failed and the values they saw."""
    failed = ", ".join(f"CASE WHEN ({part}) THEN NULL ELSE {literal(part)} END" for part in predicate.conjuncts)
    values = ", ".join(f"{literal(column)}, {_short(column, types[column])}" for column in predicate.columns)
    return f"""
        SELECT trajectory_id, NULL AS nearest_kept_id,
               json_object('failed', list_filter([{failed}], lambda part: part IS NOT NULL),
                           'values', json_object({values}))::VARCHAR AS evidence
        FROM trajectories_scored {STILL_IN}
        WHERE NOT coalesce((\n{predicate.text}\n), false)"""


def preference(keep: str) -> str:
    """ORDER BY over `trajectories_scored`: the row that stays of a group comes first."""
    best = "CASE WHEN correct THEN 0 WHEN correct IS NULL THEN 1 ELSE 2 END, coalesce(f1, reward) DESC NULLS LAST"
    return {"first": FIRST, "shortest": f"n_steps, {FIRST}", "best_score": f"{best}, n_steps, {FIRST}"}[keep]


def dedup_query(rule: Dedup) -> str:
    """All but the first row of each group of equal ones."""
    options = rule.dedup
    group = f"PARTITION BY same ORDER BY {preference(options.keep)}"
    said = f"'by', {literal(options.by)}, 'keep', {literal(options.keep)}, 'equal', equal"
    return f"""
        SELECT trajectory_id, nearest_kept_id, json_object({said})::VARCHAR AS evidence
        FROM (SELECT trajectory_id,
                     first_value(trajectory_id) OVER ({group}) AS nearest_kept_id,
                     row_number() OVER ({group}) AS place,
                     count(*) OVER (PARTITION BY same) AS equal
              FROM ({_SAME[options.by]}) {STILL_IN} WHERE same IS NOT NULL)
        WHERE place > 1"""


def best_of_query(rule: BestOf) -> str:
    """All but the best rows of each task."""
    options = rule.best_of
    order = ", ".join(f"{term} NULLS LAST" for term in options.order_by)
    group = f"PARTITION BY task_id ORDER BY {order}, {FIRST}"
    values = ", ".join(f"{literal(column)}, {column}" for column in order_columns(rule))
    return f"""
        SELECT trajectory_id, nearest_kept_id, evidence
        FROM (SELECT trajectory_id,
                     first_value(trajectory_id) OVER ({group}) AS nearest_kept_id,
                     row_number() OVER ({group}) AS place,
                     json_object('place', place, 'per_task', {options.per_task}, {values})::VARCHAR AS evidence
              FROM trajectories_scored {STILL_IN})
        WHERE place > {options.per_task}"""


def review_query(rule: Review) -> str:
    """Rows that not more people accept than reject, with how many said what."""
    only = "" if rule.review.project is None else f"AND project = {literal(rule.review.project)}"
    return f"""
        SELECT trajectory_id, NULL AS nearest_kept_id,
               json_object('accepted', coalesce(accepted, 0), 'rejected', coalesce(rejected, 0),
                           'unsure', coalesce(unsure, 0))::VARCHAR AS evidence
        FROM alive LEFT JOIN (
            SELECT trajectory_id, count(*) FILTER (verdict = 'accepted') AS accepted,
                   count(*) FILTER (verdict = 'rejected') AS rejected, count(*) FILTER (verdict = 'unsure') AS unsure
            FROM reviews WHERE step_index IS NULL {only} GROUP BY 1
        ) USING (trajectory_id)
        WHERE coalesce(accepted, 0) <= coalesce(rejected, 0)"""


def max_tokens_query(rule: MaxTokens) -> str:
    """Rows whose question, turns and observations are longer than allowed, by an estimate from their characters."""
    options = rule.max_tokens
    said = f"'tokens', tokens, 'n', {options.n}, 'chars', chars, 'chars_per_token', {options.chars_per_token}"
    return f"""
        SELECT trajectory_id, NULL AS nearest_kept_id, json_object({said})::VARCHAR AS evidence
        FROM (SELECT trajectory_id, coalesce(length(question), 0) + coalesce(turns, 0) AS chars,
                     ceil(chars / {options.chars_per_token})::BIGINT AS tokens
              FROM trajectories_scored {STILL_IN} LEFT JOIN (
                  SELECT trajectory_id, sum(length(completion) + coalesce(length(observation), 0))::BIGINT AS turns
                  FROM steps {STILL_IN} GROUP BY 1
              ) USING (trajectory_id))
        WHERE tokens > {options.n}"""


def within_query(name: str, selection_id: str) -> str:
    """Rows that another selection does not keep, with its reason; a newer attempt is not what it decided on."""
    said = f"'selection', {literal(name)}, 'selection_id', {literal(selection_id)}"
    return f"""
        SELECT trajectory_id, d.nearest_kept_id,
               json_object({said}, 'rule', coalesce(d.rule, 'not decided on'), 'evidence', d.evidence::JSON)::VARCHAR
                   AS evidence
        FROM trajectories {STILL_IN} LEFT JOIN (
            SELECT * FROM decisions WHERE selection_id = {literal(selection_id)}
        ) d USING (trajectory_id, attempt)
        WHERE NOT coalesce(d.kept, false)"""


def inherited_weights_query(selection_id: str) -> str:
    """INSERT of the step weights of another selection that no earlier rule set; its parameter is the rule's label."""
    return f"""
        INSERT INTO masks SELECT trajectory_id, step_index, weight, ? FROM step_weights {STILL_IN}
        ANTI JOIN masks USING (trajectory_id, step_index) WHERE selection_id = {literal(selection_id)}"""


def mask_query(rule: MaskSteps) -> str:
    """INSERT of the steps to mask that no earlier rule masked; its parameter is the rule's label."""
    return f"""
        INSERT INTO masks SELECT trajectory_id, step_index, 0.0, ? FROM steps_scored {STILL_IN}
        ANTI JOIN masks USING (trajectory_id, step_index) WHERE (\n{rule.mask_steps}\n)"""


def _short(column: str, kind: str) -> str:
    return f"left({column}, {TEXT_CHARS})" if kind == "VARCHAR" else column
