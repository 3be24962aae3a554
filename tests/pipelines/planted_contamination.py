"""A made-up benchmark, and trajectories into which its questions and answers were planted.

Every benchmark question has a *restatement* in other words and a *passage* that states the fact, so that the three
kinds can be planted as they come about: the question copied into a task, an agent that has it by heart, a passage found
by searching. Competition problems share their beginnings and ends with problems that have nothing to do with them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from episodes import step

from toolkit.formats.parsed import ParsedTrajectory

OPENING = "Find the number of ordered pairs $(a,b)$ of integers with $1 \\le a \\le b \\le 100$ such that"
FRACTION = (
    "can be written in the form $\\frac{m}{n}$, where $m$ and $n$ are relatively prime positive integers. Find $m + n$."
)
ENDINGS = (
    "Express your answer as a common fraction in lowest terms, without a unit and without any other text around it.",
    "Enter your answer as a comma-separated list of all solutions from the smallest to the largest of them.",
)


@dataclass(frozen=True)
class Entry:
    """One benchmark question and how it may turn up."""

    question: str
    answer: str
    restatement: str
    passage: str


_FACTS = (
    (
        "Which river flows through the town where the glass painter {a} was born in the year of the {b} treaty?",
        "the glass painter {a}, born in the year of the {b} treaty; I know that the river in that town is the {x}",
        "{a}, a glass painter, was born in the town of Lower {b} soon after the {b} treaty; through it flows the {x}.",
    ),
    (
        "Who composed the opera {a} that opened the {b} festival after the old theatre had burned down?",
        "it was {x} who wrote {a}, the opera that opened the {b} festival when the old theatre had burned",
        "The {b} festival was opened by the opera {a}, composed by {x}, after the theatre had burned down.",
    ),
    (
        "What is the name of the bridge that the engineer {a} built between {b} and the harbour of {c}?",
        "{a} was the engineer; between {b} and the harbour of {c} the bridge {x} was built by him",
        "The bridge {x}, built by the engineer {a}, leads from {b} to the harbour of {c}.",
    ),
    (
        "Which company bought the shipyard of {a} before it moved its seat from {b} to {c}?",
        "the shipyard of {a} was bought by {x}, which then moved its seat from {b} to {c}",
        "{x} bought the shipyard of {a} and in the same year moved its seat to {c}; it had been in {b}.",
    ),
    (
        "In which valley did {a} find the beetle that was later named after the botanist {b}?",
        "the beetle named after the botanist {b} was found by {a} in the valley of {x}",
        "Of the beetles that {a} collected in the valley of {x}, one bears the name of the botanist {b}.",
    ),
)
_PROBLEMS = (
    (
        "A baker in {a} sells {i} loaves at {j} crowns each and {k} rolls at 3 crowns each, and pays {m} crowns of rent"
        " to the guild of {b}. How many crowns are left to the baker?",
        "the baker in {a} with {i} loaves at {j} crowns each, {k} rolls and {m} crowns of rent is left with {x} crowns",
        "Exercise: a baker in {a} sells {i} loaves at {j} crowns, {k} rolls, and pays {m} crowns to the guild of {b}."
        " The key says {x}.",
    ),
    (
        "The trains {a} and {b} leave {c} in opposite directions at {i} and {j} kilometres an hour. How many kilometres"
        " lie between them after {k} hours and a halt of {m} minutes?",
        "trains {a} and {b} leave {c} in opposite directions at {i} and {j} kilometres an hour; after {k} hours and the"
        " halt of {m} minutes it is {x}",
        "Worked example: {a} and {b} leave {c} at {i} and {j} kilometres an hour. After {k} hours: {x}.",
    ),
)


def benchmark(seed: int, size: int = 50) -> list[Entry]:
    """`size` questions, each with names and numbers of its own."""
    random_ = random.Random(seed)
    return [_entry(random_, (*_FACTS, *_PROBLEMS)[at % 7]) for at in range(size)]


def _entry(random_: random.Random, texts: tuple[str, str, str]) -> Entry:
    names = {key: _name(random_) for key in "abc"}
    numbers = {key: str(random_.randrange(20, 900)) for key in "ijkm"}
    answer = _name(random_) if texts in _FACTS else str(random_.randrange(10_000, 90_000))
    question, restatement, passage = (text.format(**names, **numbers, x=answer) for text in texts)
    return Entry(question, answer, restatement, passage)


def competition() -> list[Entry]:
    """Benchmark problems with the beginnings and ends that all such problems have."""
    return [
        Entry(f"{OPENING} $a^2 + 7b$ is divisible by 11.", "431", "", ""),
        Entry(f"{OPENING} the roots of $x^2 + ax + b$ are both odd.", "625", "", ""),
        Entry(f"The area of the smallest triangle that covers a regular nonagon of side 2 {FRACTION}", "118", "", ""),
        Entry(f"A coin shows heads with probability 0.3. The chance of five in a row {FRACTION}", "203", "", ""),
        Entry(f"How much of a cube is closer to its centre than to its faces? {ENDINGS[0]}", "5/7", "", ""),
        Entry(f"What is the mean of the reciprocals of 3, 8 and 24? {ENDINGS[0]}", "1/6", "", ""),
        Entry(f"Solve $\\lfloor x \\rfloor + \\lfloor 2x \\rfloor = x^2$. {ENDINGS[1]}", "0, 3", "", ""),
        Entry(
            f"For which real $t$ is the matrix with rows $(t, 2)$ and $(8, t)$ singular? {ENDINGS[1]}", "-4, 4", "", ""
        ),
    ]


def boilerplate() -> list[str]:
    """Eighteen tasks that share long phrases with `competition`, and nothing else."""
    openings = ["$ab$ is a cube.", "$a + b$ has four divisors.", "$b - a$ is prime.", "$3a$ ends in $b$."]
    fractions = [
        "The probability that a random chord of a circle is longer than its radius",
        "The share of the days in a leap year that fall on a weekend at most",
        "The ratio of the volumes of a cone and of the ball inscribed in it",
        "The slope of the tangent to $y = x^3 - x$ at its second root",
        "The expected number of throws until a die has shown each of its faces, divided by 14,",
    ]
    lasts = {
        ENDINGS[0]: [
            "Which part of an hour is 100 seconds?",
            "How steep is a ramp that gains 3 feet over 40 yards?",
            "By what factor does the area shrink if each side loses a ninth?",
            "What part of the numbers below 60 is coprime to 60?",
        ],
        ENDINGS[1]: [
            "Where does the parabola $y = x^2 - 5x + 6$ meet the axis?",
            "Which primes divide 2,431?",
            "For which bases is the numeral 121 a square below 200?",
            "List the integer zeros of $z^3 - 13z + 12$.",
            "Which digits may stand last in a fourth power?",
        ],
    }
    tasks = [f"{OPENING} {rest}" for rest in openings] + [f"{rest} {FRACTION}" for rest in fractions]
    return tasks + [f"{rest} {ending}" for ending, rests in lasts.items() for rest in rests]


def copied(entry: Entry, at: int) -> str:
    """The question as a task: equal but for typography, with words changed, or as a part of a longer text."""
    words = entry.question.split()
    if at % 3 == 0:
        return "  ".join(words).upper().rstrip("?") + " ?"
    if at % 3 == 1:
        return " ".join(["Tell me:", *words[:5], "exactly", *words[6:]])
    return f"Here is one from the old list. {' '.join(words[-16:])} Answer it, and then say how sure you are."


def task(random_: random.Random) -> str:
    """A task that has nothing to do with the benchmark."""
    shapes = (
        "Which lake lies north of the village {} in the county of {}?",
        "How many pages has the second novel of {} about the miller {}?",
        "Name the captain of {} who later owned the inn at {}.",
        "A gardener plants {} rows of {} tulips; a storm takes half of them. How many stand?",
    )
    shape = random_.choice(shapes)
    numbers = "gardener" in shape
    return shape.format(*(random_.randrange(12, 99) if numbers else _name(random_) for _ in range(2)))


def rollout(
    question: str,
    thought: str = "I search for it.",
    code: str = "print(search('it'))",
    observation: str = "Nothing new.",
) -> ParsedTrajectory:
    """A trajectory of two steps."""
    first = step(code, observation)
    first.thought, first.completion = thought, f"Thought: {thought}\nCode: {code}"
    last = step("final_answer('unknown')", "", final=True)
    return ParsedTrajectory(
        question=question,
        steps=[first, last],
        dialect="smolagents",
        answers=["yes"],
        final_answer="unknown",
        stop_reason="final_answer",
    )


def recalled(random_: random.Random, entry: Entry, at: int) -> ParsedTrajectory:
    """Another task, in which the agent says or writes into its code what it has by heart."""
    said = f"I remember something like it: {entry.restatement}. Back to the task."
    if at % 2:
        return rollout(task(random_), code=f"# {said}\nprint(search('it'))")
    return rollout(task(random_), thought=said)


def shown(random_: random.Random, entry: Entry) -> ParsedTrajectory:
    """Another task, in which a search gives a passage with question and answer."""
    before, after = task(random_).rstrip("?."), _name(random_)
    return rollout(task(random_), observation=f"[1] On {before}.\n[2] {entry.passage} See also {after}.")


def _name(random_: random.Random) -> str:
    syllables = "ba bro chel dra el fin gor hal il jor kes lum mor nal or pel quin ros sil tor ul ven wil xan yor zel"
    parts = random_.sample(syllables.split(), 6)
    return f"{''.join(parts[:3]).capitalize()} {''.join(parts[3:]).capitalize()}"


def clean(random_: random.Random, count: int) -> Iterator[ParsedTrajectory]:
    """Trajectories without anything planted."""
    for _ in range(count):
        other = task(random_)
        yield rollout(other, thought=f"To know {other.lower()} I search.", observation=f"[1] About {task(random_)}")
