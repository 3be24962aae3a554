r"""The dialect of smolagents' `CodeAgent`, 1.2x: tags around code, "Execution logs:" in observations.

    Thought: I need the founder first.
    <code>
    print(web_search(query="founder of Suna Works"))
    </code>

Observations, errors and notes on truncation are worded as the library words them, so that a student
trained here meets nothing new when the library runs it. Prompts are our own.
Differences: a block that was never closed is an error (the library appends the missing tag, also to
code that the token limit cut off); two blocks are an error (the library joins them); the value of the
last expression is known as `repr`, of which only that of a string is undone; a failing line is not
quoted; the echo "Calling tools:" of each call is left out (see `turns`).
Source: `agents.py`, `memory.py` and `utils.py` of smolagents 1.26.0.
"""

from __future__ import annotations

import ast
import re

from toolkit.contracts import Outcome, ParsedAction
from toolkit.dialects.code_dialect import CodeDialect
from toolkit.dialects.observations import fit
from toolkit.dialects.parsing import FENCES, TAGS

_RETRY = (
    "\nNow let's retry: take care not to repeat previous errors! "
    "If you have retried several times, try a completely different approach.\n"
)
_FORM = "Thoughts: Your thoughts\n<code>\n# Your python code here\n</code>"
_STRING = re.compile(r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"")


class Smolagents(CodeDialect):
    """See the module."""

    name = "smolagents"
    version = "1"
    stop = ("</code>", "Observation:", "Calling tools:")
    marks = (TAGS, FENCES)
    # The library's own limit for the last value.
    default_observation_chars = 20_000

    def observation(self, outcome: Outcome) -> tuple[str, int]:
        """Printed text and last value, or printed text and error; the label of the turn is not part of it."""
        limit = self.observation_chars
        note = f"\n..._This content has been truncated to stay below {limit} characters_...\n"
        shown = fit(outcome, limit, lambda cut: note)
        printed = shown.printed if shown.printed.endswith("\n") or not shown.printed else f"{shown.printed}\n"
        if not outcome.ok:
            # Two messages of one role, which the library joins by a newline.
            logs = f"Execution logs:\n{printed}\n" if printed else ""
            return f"{logs}Error:\n{shown.error}{_RETRY}", shown.cut_chars
        known = outcome.is_final or outcome.value is not None
        value = (shown.value if outcome.is_final else _as_text(shown.value)) if known else "None"
        return f"Execution logs:\n{printed}Last output from code snippet:\n{value}", shown.cut_chars

    def parse_error(self, action: ParsedAction) -> str:
        """The advice and the form of a turn, inside the library's frame."""
        advice = f"{action.error}\nMake sure to include code with the correct pattern, for instance:\n{_FORM}"
        return f"Error:\nError in code parsing:\n{advice}\nMake sure to provide correct code blobs.{_RETRY}"

    def _write(self, thought: str | None, code: str) -> str:
        said = "" if thought is None else f"Thought: {thought}\n"
        return f"{said}<code>\n{code}\n</code>"


def _as_text(value: str) -> str:
    """A string instead of its `repr`; anything else as it is."""
    if not _STRING.fullmatch(value):
        return value
    try:
        text = str(ast.literal_eval(value))
        text.encode()
    except (SyntaxError, ValueError):  # an unknown escape, or a lone surrogate, which could not be stored
        return value
    return text
