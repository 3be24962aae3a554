"""The rules that keep so many rows of each value of a column: `sample`, `mix` and `balance`.

Each rule turns the sizes of the groups that are still in into quotas; which rows of a group stay is then drawn by the
rule, its seed and the trajectory's id alone. Invariants: no quota is above its group's size; equal rows, recipe and
seed keep the same rows, whatever the order of import. Not covered: that what stays of a group is varied.
"""

from __future__ import annotations

from fractions import Fraction
from math import lcm

from pipelines.recipe import Balance, Mix, Sample, rule_name
from toolkit.errors import QueryError
from toolkit.lake.literal import literal

Quota = Sample | Mix | Balance
Size = tuple[str | None, int]
"""A value of the column, as text, and how many rows have it."""


def column_of(rule: Quota) -> str | None:
    """The column of `trajectories_scored` that a rule groups by. None: all rows are one group."""
    if isinstance(rule, Sample):
        return rule.sample.by
    return rule.mix.by if isinstance(rule, Mix) else rule.balance.by


def sizes_query(rule: Quota) -> str:
    """SELECT of (value, rows) of the groups that are still in, in a fixed order."""
    return f"""
        SELECT {_value(rule)} AS value, count(*) AS rows FROM trajectories_scored SEMI JOIN alive USING (trajectory_id)
        GROUP BY 1 ORDER BY 1 NULLS FIRST"""


def quotas_of(rule: Quota, sizes: list[Size]) -> list[int]:
    """How many rows of each group stay.

    Raises:
        QueryError: no row has a value that `mix` wants a share of.
    """
    rows = [size for _, size in sizes]
    if isinstance(rule, Sample):
        return share_out(rule.sample.n, rows)
    if isinstance(rule, Mix):
        return _mixed(rule, sizes)
    most = rule.balance.per_value or min(rows, default=0)
    return [min(most, size) for size in rows]


def quota_query(rule: Quota) -> str:
    """Rows beyond the quota of their group, which the table `quotas` (value, rows, quota) holds, in a seeded order."""
    column, seed = column_of(rule), _seed(rule)
    # Each rule draws anew: what an earlier one kept would come first again, and its shares would be lost.
    drawn = literal(f"{rule_name(rule)} {column or ''} {seed}:")
    said = f"'value', value, 'rows', rows, 'quota', quota, 'seed', {seed}"
    said = f"'by', {literal(column)}, {said}" if column else said
    return f"""
        SELECT trajectory_id, NULL AS nearest_kept_id, json_object({said})::VARCHAR AS evidence
        FROM (SELECT trajectory_id, q.value, rows, quota,
                     row_number() OVER (PARTITION BY q.value ORDER BY md5({drawn} || trajectory_id)) AS place
              FROM (SELECT trajectory_id, {_value(rule)} AS value FROM trajectories_scored
                    SEMI JOIN alive USING (trajectory_id)) a
              JOIN quotas q ON a.value IS NOT DISTINCT FROM q.value)
        WHERE place > quota"""


def share_out(n: int, sizes: list[int]) -> list[int]:
    """Split `n` over groups in proportion to `sizes`, none above its size (largest remainders).

    The shares add up to `min(n, sum(sizes))`.
    """
    return list(sizes) if n >= sum(sizes) else _apportioned(n, sizes)


def _mixed(rule: Mix, sizes: list[Size]) -> list[int]:
    """The most rows, and at most `n`, of which every value has its share; other values get none."""
    # As they are written: the float 0.1 is no tenth.
    shares = {value: Fraction(str(share)) for value, share in rule.mix.shares.items()}
    there = {value: size for value, size in sizes if value is not None}
    if sizes and (missing := [value for value in shares if value not in there]):
        found = ", ".join(f"{value!r} ({size:,})" for value, size in sizes) or "nothing"
        raise QueryError(f"no trajectory that is left has {rule.mix.by} {missing[0]!r}; there are {found}")
    most = min((there[value] // share for value, share in shares.items() if value in there), default=0)
    total = most if rule.mix.n is None else min(most, rule.mix.n)
    quota = dict(zip(shares, _apportioned(total, _whole(list(shares.values()))), strict=True))
    return [quota.get(value, 0) if value is not None else 0 for value, _ in sizes]


def _whole(shares: list[Fraction]) -> list[int]:
    """Whole numbers in the same proportion."""
    common = lcm(*(share.denominator for share in shares))
    return [int(share * common) for share in shares]


def _apportioned(n: int, weights: list[int]) -> list[int]:
    """Whole numbers that add up to `n`, each next to its weight's part of it; ties go to earlier ones."""
    total = sum(weights)
    parts = [n * weight // total for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda index: (-(n * weights[index] % total), index))
    for index in by_remainder[: n - sum(parts)]:
        parts[index] += 1
    return parts


def _seed(rule: Quota) -> int:
    if isinstance(rule, Sample):
        return rule.sample.seed
    return rule.mix.seed if isinstance(rule, Mix) else rule.balance.seed


def _value(rule: Quota) -> str:
    column = column_of(rule)
    return f"CAST({column} AS VARCHAR)" if column else "'all'"
