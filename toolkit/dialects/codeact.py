r"""Our own dialect: a thought, a fenced block, and what it printed.

    Thought: I need the founder first.
    Code:
    ```py
    print(web_search("founder of Suna Works"))
    ```

The marks are what language models know from Markdown. Everything between thought and code is one
fixed string, `\nCode:\n```py\n`, which a tokenizer trained for a tiny student keeps as one token.
The model stops at a closing fence on a line of its own. A fence without a language label that opens a
block looks the same and stops it, too: the parser then says how a block is opened.
"""

from __future__ import annotations

from toolkit.contracts import Outcome, ParsedAction
from toolkit.dialects.code_dialect import CodeDialect
from toolkit.dialects.observations import ADVICE, fit
from toolkit.dialects.parsing import FENCES, TAGS

NOTHING = "(nothing was printed)"
_FORM = 'Thought: what this step does, and why\nCode:\n```py\nprint("the code of this step")\n```'


class CodeAct(CodeDialect):
    """See the module."""

    name = "codeact"
    version = "1"
    stop = ("\n```\n", "\nObservation:")
    marks = (FENCES, TAGS)
    # About 1,500 tokens: five such observations leave room in the paper's 10,240 tokens.
    default_observation_chars = 6_000

    def observation(self, outcome: Outcome) -> tuple[str, int]:
        """Printed text, then the last value, the answer or the error, each on lines of its own."""
        shown = fit(outcome, self.observation_chars, lambda cut: f"\n[{cut:,} characters left out]\n")
        parts = [shown.printed.strip("\n")]
        if not outcome.ok:
            parts.append(f"Error:\n{shown.error}\n{ADVICE[outcome.error_kind]}")
        elif outcome.is_final:
            parts.append(f"Final answer: {shown.value}")
        elif shown.value:
            parts.append(f"Out: {shown.value}")
        return "\n".join(part for part in parts if part) or NOTHING, shown.cut_chars

    def parse_error(self, action: ParsedAction) -> str:
        """The advice, then the form of a turn."""
        return f"Error:\n{action.error}\nThe form of a turn is:\n{_FORM}"

    def _write(self, thought: str | None, code: str) -> str:
        said = "" if thought is None else f"Thought: {thought}\n"
        return f"{said}Code:\n```py\n{code}\n```"
