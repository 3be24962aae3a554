"""Which rows repeat an earlier one: candidates from sketches, verified on the shingles themselves.

Rows come best first. Each one in turn stays, unless a row that stays already is at least as near as the threshold:
its keeper, the nearest of them. Invariant: every row that goes has a keeper, verified by exact Jaccard, that stays;
no two rows that stay were found nearer than the threshold; the outcome depends on nothing but order, shingles and
sketches. Nearness is not passed on: a row that is near a row that went, and near none that stays, stays.
Candidates are found by locality-sensitive hashing in bands. rensa's own index takes only sketches that were made in the
same process, and here most come from the lake. Not covered: a pair at the threshold is overlooked about once in a
thousand (`bands`), more often below a Jaccard of 0.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.similarity.shingles import Hashes, shared

MISSED = 0.001
"""Share of pairs at the threshold that may be overlooked."""
_ESTIMATE_SIGMAS = 4.0
"""A candidate whose sketch is this many standard deviations below the threshold is not looked at."""
_N = np.uint64(0xD6E8FEB86659FD93)

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Match:
    """Why a row goes."""

    keeper: int
    """The nearest row that stays."""
    shared: int
    """Shingles that both have."""
    union: int
    """Shingles that either has."""

    @property
    def jaccard(self) -> float:
        """Their exact Jaccard, in (0, 1]."""
        return self.shared / self.union


@dataclass(frozen=True, slots=True)
class Thinned:
    """What became of the rows."""

    matches: dict[int, Match]
    """Of the rows that go."""
    clusters: dict[int, int]
    """Rows in the cluster of each row that goes: all that are linked by keepers that they are near."""


def bands(jaccard: float, permutations: int) -> int:
    """Values of a sketch to a band, as many as let pairs at the threshold be overlooked at most once in a thousand."""
    for rows in range(permutations, 1, -1):
        if (1 - jaccard**rows) ** (permutations // rows) <= MISSED:
            return rows
    return 1


class Neighbours:
    """The sketches of all rows, best first, cut into bands; `groups` limits comparisons to rows of equal group."""

    def __init__(
        self, sketches: NDArray[np.uint32], present: NDArray[np.bool_], groups: Indices | None, jaccard: float
    ):
        self.jaccard = jaccard
        self._sketches = sketches
        self._buckets: list[tuple[Indices, Indices]] = []
        rows_per_band = bands(jaccard, sketches.shape[1])
        occupied = np.flatnonzero(present)
        has_neighbour = np.zeros(len(sketches), dtype=bool)
        for start in range(0, sketches.shape[1] - rows_per_band + 1, rows_per_band):
            keys = np.zeros(len(occupied), dtype=np.uint64) if groups is None else groups[occupied].astype(np.uint64)
            for column in range(start, start + rows_per_band):
                keys = keys * _N + sketches[occupied, column]
                keys ^= keys >> np.uint64(29)
            members, buckets = _crowded(keys)
            members = occupied[members]
            has_neighbour[members] = True
            self._buckets.append((members, buckets))
        self.rows: Indices = np.flatnonzero(has_neighbour)
        """Rows that have any candidate, in order; all others stay."""

    def thin(self, shingle_set: Callable[[int], Hashes]) -> Thinned:
        """Choose; `shingle_set` gives the sorted shingles of one of `rows`."""
        buckets = self._buckets_of_rows()
        standing: dict[int, list[int]] = {}
        matches: dict[int, Match] = {}
        clusters = _Clusters()
        for place, row in enumerate(self.rows.tolist()):
            mine = buckets[place]
            mine = mine[mine >= 0].tolist()
            near = self._near(row, {other for bucket in mine for other in standing.get(bucket, ())}, shingle_set)
            if not near:
                for bucket in mine:
                    standing.setdefault(bucket, []).append(row)
                continue
            # Of equally near ones the best.
            matches[row] = min(near, key=lambda match: (-match.jaccard, match.keeper))
            for match in near:
                clusters.join(row, match.keeper)
        return Thinned(matches, {row: clusters.size(row) for row in matches})

    def estimates(self, row: int, others: Indices) -> NDArray[np.float64]:
        """How near the sketches say that each of `others` is."""
        found: NDArray[np.float64] = (self._sketches[others] == self._sketches[row]).mean(axis=1)
        return found

    def _buckets_of_rows(self) -> Indices:
        """Row by band: the number of its bucket, unique over all bands; -1 where it is alone."""
        found = np.full((len(self.rows), len(self._buckets)), -1, dtype=np.int64)
        first = 0
        for band, (members, buckets) in enumerate(self._buckets):
            found[np.searchsorted(self.rows, members), band] = buckets + first
            first += int(buckets.max()) + 1 if len(buckets) else 0
        return found

    def _near(self, row: int, others: set[int], shingle_set: Callable[[int], Hashes]) -> list[Match]:
        """Those of `others` that are as near as the threshold asks."""
        if not others:
            return []
        candidates = np.fromiter(others, dtype=np.int64, count=len(others))
        estimates = self.estimates(row, candidates)
        spread = np.sqrt(self.jaccard * (1 - self.jaccard) / self._sketches.shape[1])
        mine = shingle_set(row)
        found = []
        for other in candidates[estimates >= self.jaccard - _ESTIMATE_SIGMAS * spread].tolist():
            theirs = shingle_set(other)
            both = shared(mine, theirs)
            match = Match(other, both, len(mine) + len(theirs) - both)
            if match.jaccard >= self.jaccard:
                found.append(match)
        return found


def _crowded(keys: NDArray[np.uint64]) -> tuple[Indices, Indices]:
    """The places whose key occurs elsewhere, too, and for each a number that stands for the key."""
    _, numbers, counts = np.unique(keys, return_inverse=True, return_counts=True)
    members = np.flatnonzero(counts[numbers] > 1)
    return members, numbers[members]


class _Clusters:
    """Union-find with sizes."""

    def __init__(self) -> None:
        self._above: dict[int, int] = {}
        self._size: dict[int, int] = {}

    def join(self, left: int, right: int) -> None:
        left, right = self._top(left), self._top(right)
        if left != right:
            left, right = sorted((left, right), key=self._rows)
            self._above[left] = right
            self._size[right] = self._rows(left) + self._rows(right)

    def size(self, row: int) -> int:
        return self._rows(self._top(row))

    def _rows(self, top: int) -> int:
        return self._size.get(top, 1)

    def _top(self, row: int) -> int:
        while row in self._above:
            above = self._above[row]
            # Halving the way as it is walked keeps all ways short.
            self._above[row] = self._above.get(above, above)
            row = above
        return row
