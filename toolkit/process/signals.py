"""The process signals by name: each a versioned scorer.

Invariant: a version is raised with every change of what counts, so that scores of equal name and version compare.
Names are the columns of `trajectories_scored` and `steps_scored`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from toolkit.contracts import Verdict
from toolkit.errors import InputError
from toolkit.process.code import idle_code
from toolkit.process.effort import RATIOS
from toolkit.process.episode import Episode
from toolkit.process.errors import unrecovered_errors
from toolkit.process.evidence import grounded, hard_coded
from toolkit.process.mismatch import thought_mismatch
from toolkit.process.repetition import loops, repeated_calls
from toolkit.process.retrieval import unused_retrieval

RATIO_SCORERS = {name: f"{name}@1" for name in RATIOS}
"""Those that need the other trajectories of a task; see `effort`."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One scorer of episodes."""

    judge: Callable[[Episode], Iterable[Verdict]]
    """One verdict on the whole, and one on each step that it has something to say of."""
    version: int = 1

    @property
    def name(self) -> str:
        """Its name, which is that of its function."""
        return self.judge.__name__

    @property
    def scorer(self) -> str:
        """Name and version."""
        return f"{self.name}@{self.version}"

    def verdicts(self, episode: Episode) -> Iterator[Verdict]:
        """Its word on an episode; of other kinds of trajectories, that it is not applicable."""
        if episode.trajectory.kind != "agent":
            yield Verdict(None, None, details={"not_applicable": "it has no actions"})
            return
        yield from self.judge(episode)


SIGNALS = {
    signal.name: signal
    for signal in map(
        Signal,
        (
            unrecovered_errors,
            repeated_calls,
            unused_retrieval,
            grounded,
            idle_code,
            hard_coded,
            thought_mismatch,
            loops,
        ),
    )
}
"""Those that look at one episode."""
NAMES = (*SIGNALS, *RATIOS)
"""All that can be asked for."""


def chosen_names(text: str) -> Sequence[str]:
    """The names of `all`, or of a list with commas.

    Raises:
        InputError: there is no such signal.
    """
    if text == "all":
        return NAMES
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in NAMES:
            close = get_close_matches(name, NAMES, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(NAMES)}, and all"
            raise InputError(f"there is no signal {name!r}; {hint}")
    return names
