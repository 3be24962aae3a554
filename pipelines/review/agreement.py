"""How far people agree with each other, and graders with people.

People: Krippendorff's alpha, nominal, once over wholes and once over steps; it counts disagreement against what chance
would give, with any number of people who each saw some of the units. Graders: share of equal verdicts and Cohen's kappa
against the majority of people. `unsure` is no verdict, in both. Sources: Krippendorff 2004, ch. 11; Cohen 1960.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import duckdb

from toolkit.grading.agreement import Pair, alpha

CLEAR = ("accepted", "rejected", "correct", "wrong")
"""Verdicts that count; the others abstain."""


@dataclass(frozen=True, slots=True)
class Alpha:
    """Agreement of people."""

    of: str
    """`wholes` or `steps`."""
    units: int
    """Trajectories or steps with verdicts of at least two people."""
    verdicts: int
    """Verdicts on them."""
    alpha: float | None
    """1: perfect, 0: as by chance. None: undefined, because there are no such units or all verdicts are equal."""


@dataclass(frozen=True, slots=True)
class GraderAgreement:
    """Agreement of one grader with the majority of people."""

    scorer: str
    of: str
    units: int
    """Trajectories or steps on which both have a verdict."""
    both_pass: int
    grader_only: int
    """The grader passed what people did not."""
    people_only: int
    """People passed what the grader did not."""
    both_fail: int

    @property
    def _pair(self) -> Pair:
        return Pair(self.both_pass, self.grader_only, self.people_only, self.both_fail)

    @property
    def agreement(self) -> float:
        """Share of equal verdicts."""
        return self._pair.share

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa. None: undefined, because chance alone would agree everywhere."""
        return self._pair.kappa


def people_agreement(connection: duckdb.DuckDBPyConnection, project: str) -> list[Alpha]:
    """Alpha over the wholes and over the steps of `project`.

    Raises:
        MissingExtraError: krippendorff is not installed.
    """
    rows = connection.execute(
        f"""SELECT step_index IS NULL, trajectory_id, step_index, verdict FROM reviews
            WHERE project = ? AND verdict IN {CLEAR}""",
        [project],
    ).fetchall()
    found = []
    for of, whole in (("wholes", True), ("steps", False)):
        units: dict[tuple[str, int | None], Counter[str]] = {}
        for is_whole, trajectory_id, step_index, verdict in rows:
            if is_whole == whole:
                units.setdefault((trajectory_id, step_index), Counter())[verdict] += 1
        found.append(alpha_of(of, [words for words in units.values() if words.total() > 1]))
    return found


def alpha_of(of: str, units: list[Counter[str]]) -> Alpha:
    """Alpha over the verdicts on each unit.

    Raises:
        MissingExtraError: krippendorff is not installed.
    """
    verdicts = sum(words.total() for words in units)
    values = sorted(set().union(*units))
    votes = Counter(tuple(words[value] for value in values) for words in units)
    return Alpha(of, len(units), verdicts, alpha(votes))


def grader_agreement(connection: duckdb.DuckDBPyConnection, project: str) -> list[GraderAgreement]:
    """Every scorer against the majority of people in `project`, where both have a verdict."""
    rows = connection.execute(
        f"""
        WITH people AS (
            SELECT trajectory_id, step_index, count(*) FILTER (verdict IN ('accepted', 'correct')) AS pro,
                   count(*) FILTER (verdict IN ('rejected', 'wrong')) AS contra
            FROM reviews WHERE project = ? AND verdict IN {CLEAR} GROUP BY ALL HAVING pro <> contra)
        SELECT scorer, if(s.step_index IS NULL, 'wholes', 'steps') AS of, count(*),
               count(*) FILTER (passed AND pro > contra), count(*) FILTER (passed AND pro < contra),
               count(*) FILTER (NOT passed AND pro > contra), count(*) FILTER (NOT passed AND pro < contra)
        FROM scores s JOIN people p
             ON s.trajectory_id = p.trajectory_id AND s.step_index IS NOT DISTINCT FROM p.step_index
        WHERE passed IS NOT NULL GROUP BY ALL ORDER BY ALL""",
        [project],
    ).fetchall()
    return [GraderAgreement(*row) for row in rows]
