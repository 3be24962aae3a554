"""How far those who judge the same things agree, beyond what chance would give.

Two voices: share of equal verdicts and Cohen's kappa. Any number of voices, who each spoke on some of the units:
Krippendorff's alpha, nominal. Both are 1 for perfect agreement and 0 for that of chance; both are undefined (None)
where chance alone would agree everywhere, because all verdicts are equal. Sources: Cohen 1960; Krippendorff 2004,
ch. 11.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from toolkit.errors import MissingExtraError


@dataclass(frozen=True, slots=True)
class Pair:
    """Two voices on the units on which both have a verdict."""

    both_pass: int
    only_first: int
    """The first passed what the second did not."""
    only_second: int
    both_fail: int

    @property
    def units(self) -> int:
        """On which both spoke; at least one."""
        return self.both_pass + self.only_first + self.only_second + self.both_fail

    @property
    def share(self) -> float:
        """Of equal verdicts."""
        return (self.both_pass + self.both_fail) / self.units

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa. None: undefined."""
        first, second = self.both_pass + self.only_first, self.both_pass + self.only_second
        chance = (first * second + (self.units - first) * (self.units - second)) / self.units**2
        return (self.share - chance) / (1 - chance) if chance < 1 else None


def alpha(units: Mapping[tuple[int, ...], int]) -> float | None:
    """Krippendorff's alpha; `units` are counted by how many voices gave each of the possible verdicts. None: undefined.

    Raises:
        MissingExtraError: krippendorff is not installed.
    """
    spoken = {votes: count for votes, count in units.items() if sum(votes) > 1}
    if sum(map(any, zip(*spoken, strict=True))) < 2:
        # Only one of the verdicts, or none, was ever given.
        return None
    try:
        import numpy as np
        from krippendorff import alpha as krippendorff_alpha
    except ImportError as error:
        raise MissingExtraError("krippendorff", "evaluate", "agreement") from error
    counts = np.repeat(np.array(list(spoken)), list(spoken.values()), axis=0)
    return float(krippendorff_alpha(value_counts=counts, level_of_measurement="nominal"))
