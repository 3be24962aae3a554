"""What a model is shown of an outcome: printed text, last value, error with advice.

Invariant: of the outcome's own text at most `limit` characters are shown, and every character that
is left out is counted, those that the sandbox did not keep included. Beginning and end are shown, for
the end of a long output often holds the result. An error is never crowded out by what was printed.
Not covered: tokens; a character is between a quarter of a token and several.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from schemas import ErrorKind
from toolkit.contracts import Outcome

MIN_LIMIT = 200
"""The smallest `limit` with which an error can still be read."""

Note = Callable[[int], str]
"""Text that stands where that many characters are left out."""

ADVICE: dict[ErrorKind, str] = {
    "none": "The step failed; try another way.",
    "parse": "Write the turn in the form that was asked for.",
    "execution": "Find the cause, then fix it; what was defined before the failing line is still there.",
    "timeout": "Do less in one step, or find a faster way.",
    "tool": "Change the arguments of the call, or find another way.",
    "denied": "This is not allowed here. Find another way.",
    "sandbox": "Try a simpler way that needs less.",
}
"""What the agent is told to do, by the kind of error."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The texts of an outcome, shortened to fit together into a limit."""

    printed: str
    value: str
    """The last value, or the final answer; empty if there is none."""
    error: str
    cut_chars: int
    """Characters left out of all three."""


def fit(outcome: Outcome, limit: int, note: Note) -> Shown:
    """The texts of `outcome`, of which at most `limit` characters are kept, notes not counted.

    An error takes up to a quarter, the value what printed text leaves but at least half of the rest.
    """
    value = (outcome.final_answer if outcome.is_final else outcome.value) or ""
    error, cut_error = shorten((outcome.error or "").strip("\n"), limit // 4, note)
    room = limit - min(limit // 4, len(outcome.error or ""))
    value, cut_value = shorten(value, max(room // 2, room - len(outcome.stdout)), note)
    printed, cut_printed = shorten(outcome.stdout, room - min(len(value), room), note)
    if outcome.stdout_cut_chars:
        printed = printed.rstrip("\n") + note(outcome.stdout_cut_chars)
    return Shown(printed, value, error, cut_error + cut_value + cut_printed + outcome.stdout_cut_chars)


def shorten(text: str, limit: int, note: Note) -> tuple[str, int]:
    """`text` with its middle replaced by a note if it is longer than `limit`, and how much was left out."""
    cut = len(text) - limit
    if cut <= 0:
        return text, 0
    head = (limit + 1) // 2
    return f"{text[:head]}{note(cut)}{text[head + cut :]}", cut
