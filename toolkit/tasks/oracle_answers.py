"""What the oracle knows after reading, and the code by which it answers from that."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from toolkit.tasks.plan import REFERENCE, Compare, Compute, Lookup, Plan, stands_in


class UnknownError(Exception):
    """A result is needed that nothing received so far states."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The state of a plan after reading some text."""

    results: tuple[str | None, ...]
    """Result of each operation. None: not known yet."""
    open: tuple[Lookup, ...]
    """Lookups that could be made now: not known, and all that they refer to is."""

    def fill(self, text: str) -> str:
        """`text` with every `#n` replaced by its result, or by "it" where that is not known."""
        return REFERENCE.sub(lambda match: self.results[int(match[1]) - 1] or "it", text)


def read_facts(plan: Plan, text: str, remembered: Callable[[Lookup], bool] = lambda lookup: False) -> Facts:
    """What `text` says of the plan: a lookup is known if its value stands in `text`, or is `remembered`.

    Where the gold sentence is annotated, that sentence must stand there; a bare value may
    stand in a text by chance.
    """
    results: list[str | None] = []
    possible: list[Lookup] = []
    for operation in plan.operations:
        ready = all(results[number - 1] is not None for number in operation.referenced())
        if isinstance(operation, Lookup):
            stated = operation.sentence in text if operation.sentence else stands_in(operation.answer, text)
            stated = stated or remembered(operation)
            results.append(operation.answer if ready and stated else None)
            if ready and not stated:
                possible.append(operation)
        else:
            results.append(operation.answer if ready else None)
    return Facts(tuple(results), tuple(possible))


def answer_code(plan: Plan, facts: Facts) -> str:
    """Code that gives the final answer from known results; calculations are left to Python.

    Raises:
        UnknownError: a result that the last operation needs is not known.
    """
    last = plan.operations[-1]
    if any(facts.results[number - 1] is None for number in last.referenced()):
        raise UnknownError
    if isinstance(last, Compute):
        return f"final_answer({_inline(plan, facts, last.expression)})"
    if isinstance(last, Compare):
        pairs = zip(last.labels, last.values, strict=True)
        options = ", ".join(f"{facts.fill(label)!r}: {_inline(plan, facts, value)}" for label, value in pairs)
        return f"options = {{{options}}}\nfinal_answer({last.choose}(options, key=options.get))"
    if facts.results[-1] is None:
        raise UnknownError
    return f"final_answer({facts.results[-1]!r})"


def _inline(plan: Plan, facts: Facts, expression: str) -> str:
    """`expression` with looked-up values filled in and earlier calculations in parentheses."""

    def value(match: re.Match[str]) -> str:
        number = int(match[1]) - 1
        operation = plan.operations[number]
        if isinstance(operation, Compute):
            return f"({_inline(plan, facts, operation.expression)})"
        return str(facts.results[number])

    return REFERENCE.sub(value, expression)
