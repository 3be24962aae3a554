"""`arithmetic`: word problems that need a calculation and no lookup.

Invariant: results are positive, and none hangs on how a tie is rounded.
"""

from __future__ import annotations

from functools import partial
from string import Formatter

from toolkit.tasks.minipedia.draws import Draws
from toolkit.tasks.minipedia.question import Proposal, Question, decimal_answers, number_answers
from toolkit.tasks.minipedia.steps import Library, Steps, sentence
from toolkit.tasks.minipedia.word_problems import ITEMS, PROBLEMS, Numbers, Problem

_LETTERS = [
    sorted({field for _, field, _, _ in Formatter().parse(problem.expression) if field}) for problem in PROBLEMS
]


class Arithmetic:
    """The family of word problems; people have the first names of the world."""

    name = "arithmetic"

    def __init__(self, library: Library) -> None:
        self._library = library
        self._people = list(dict.fromkeys(person.name.split()[0] for person in library.world.by_kind["person"]))
        self._digits = library.world.profile.digits

    def propose(self, draws: Draws) -> Proposal | None:
        """A problem and its numbers."""
        position = draws.below(len(PROBLEMS))
        problem = PROBLEMS[position]
        ranges = {letter: (low, high) for letter, low, high in problem.small}
        large = [self._large(draws) for letter in _LETTERS[position] if letter not in ranges]
        if problem.descending:
            large.sort(reverse=True)
        rest = iter(large)
        numbers = {
            letter: draws.between(*ranges[letter]) if letter in ranges else next(rest) for letter in _LETTERS[position]
        }
        numerator, denominator = problem.quotient(numbers)
        answers = number_answers(numerator) if denominator == 1 else decimal_answers(numerator, denominator)
        if numerator <= 0 or not answers:
            return None
        key = f"arithmetic|{position}|{'|'.join(map(str, numbers.values()))}"
        return Proposal(key, partial(self._ask, problem, numbers, answers, draws))

    def _large(self, draws: Draws) -> int:
        digits = draws.between(*self._digits)
        return draws.between(10 ** (digits - 1), 10**digits - 1)

    def _ask(self, problem: Problem, numbers: Numbers, answers: tuple[str, ...], draws: Draws) -> Question:
        parts = {letter: str(number) for letter, number in numbers.items()}
        names = dict(zip("xyz", draws.sample(self._people, 3), strict=True))
        steps = Steps(self._library)
        steps.compute(problem.expression.format(**parts), answers[0])
        text = sentence(draws.pick(problem.texts), **parts, **names, items=draws.pick(ITEMS))
        return Question(text, answers, "math", steps.plan())
