"""What the oracle says of a plan: a whole chain of thought, or what an agent has learned and has left to do.

The first paragraph says what is needed and states no fact; it is what first-thought
prefixing takes. Without passages the oracle knows arithmetic, at which it slips, and what it remembers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from toolkit.tasks.oracle_answers import Facts, read_facts
from toolkit.tasks.plan import REFERENCE, Compare, Compute, Lookup, Plan


def chain_of_thought(
    plan: Plan, read: str, draw: random.Random, slips: float, remembered: Callable[[Lookup], bool]
) -> str:
    """The whole text; `read` is the user turn, which may hold passages, and `slips` the share of slips."""
    facts = read_facts(plan, read, remembered)
    paragraphs = [_outline(plan, draw)]
    paragraphs += [_worked(operation, facts, index) for index, operation in enumerate(plan.operations)]
    answer = facts.results[-1] or "unknown"
    if facts.results[-1] is not None and isinstance(plan.operations[-1], Compute) and draw.random() < slips:
        answer = _slip(answer, draw)
    return "\n\n".join([*paragraphs, f"Final answer: {answer}"])


def _outline(plan: Plan, draw: random.Random) -> str:
    """The first paragraph."""
    opening = draw.choice(("To answer this,", "For this question", "Step by step:"))
    if not plan.lookups:
        return f"{opening} I only need to calculate with the numbers that the question gives."
    needs = f"{opening} I need to look up {_one_after_another(plan.lookups)}."
    end = ending(plan)
    return f"{needs} Then I {end}." if end else needs


def learned(plan: Plan, facts: Facts, written: str) -> list[str]:
    """What has been read and not been said yet, numbered as the first thought numbers it."""
    numbered = enumerate(zip(plan.operations, facts.results, strict=True), start=1)
    said = [
        f"{facts.fill(operation.question)} {result} (result {number})."
        for number, (operation, result) in numbered
        if isinstance(operation, Lookup) and result is not None
    ]
    return [sentence for sentence in said if sentence not in written]


def outlook(plan: Plan, facts: Facts, waiting: Sequence[Lookup]) -> str:
    """What comes after this step's searches: lookups that are `waiting`, those that cannot be made yet, the end."""
    missing = [
        operation
        for operation, result in zip(plan.operations, facts.results, strict=True)
        if isinstance(operation, Lookup) and result is None
    ]
    later = [lookup for lookup in missing if lookup in waiting or lookup not in facts.open]
    end = f"Then I {ending(plan) or 'have the answer'}."
    return f"Then {_one_after_another(later, facts)}. {end}" if later else end


def _one_after_another(lookups: Sequence[Lookup], facts: Facts | None = None) -> str:
    return ", then ".join(f'"{told(lookup.question, facts)}"' for lookup in lookups)


def ending(plan: Plan) -> str | None:
    """What is to be done with what was looked up, such as "calculate (result 1) - (result 2)"; None: nothing."""
    last = plan.operations[-1]
    if isinstance(last, Compute):
        return f"calculate {told(last.expression)}"
    if isinstance(last, Compare):
        return f"choose the {'greatest' if last.choose == 'max' else 'smallest'} value"
    return None


def told(text: str, facts: Facts | None = None) -> str:
    """References to what the facts do not tell, in words; without facts that is all of them."""
    known = facts.results if facts else ()
    return REFERENCE.sub(lambda match: _result(known, int(match[1])), text)


def _result(known: Sequence[str | None], number: int) -> str:
    result = known[number - 1] if number <= len(known) else None
    return result or f"(result {number})"


def _worked(operation: Lookup | Compute | Compare, facts: Facts, index: int) -> str:
    result = facts.results[index]
    if isinstance(operation, Lookup):
        question = facts.fill(operation.question)
        return f"{question} {result}." if result is not None else f"{question} I do not know this for sure."
    if result is None:
        return "Without these facts I cannot go on."
    if isinstance(operation, Compute):
        return f"The calculation is {facts.fill(operation.expression)}."
    return f"Compared, that is {result}."


def _slip(number: str, draw: random.Random) -> str:
    """`number` with one digit changed."""
    places = [index for index, character in enumerate(number) if character.isdigit()]
    place = draw.choice(places)
    return number[:place] + str((int(number[place]) + draw.randint(1, 9)) % 10) + number[place + 1 :]
