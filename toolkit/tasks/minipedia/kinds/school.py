"""Schools."""

from __future__ import annotations

from toolkit.tasks.minipedia.kind import Attribute, Kind, Measure, Opening

SCHOOL = Kind(
    name="school",
    share=5,
    noun="school",
    attributes=(
        Attribute(
            name="town",
            value="town",
            facts=(
                "{S} is located in {v}.",
                "{S} stands in the town of {v}.",
                "{P} buildings are in {v}.",
                "The town of {v} is home to {s}.",
            ),
            questions=(
                "In which town is {s}?",
                "In which town is {s} located?",
                "Which town is home to {s}?",
            ),
            query="town of {s}",
            nouns=("the town that is home to {s}", "the town in which {s} is located"),
        ),
        Attribute(
            name="founded",
            value="year",
            facts=(
                "{S} was founded in {v}.",
                "{P} founding took place in {v}.",
                "A merchant founded {s} in {v}.",
                "Monks founded {s} in {v} and taught there for a century.",
            ),
            questions=(
                "When was {s} founded?",
                "In what year was {s} founded?",
                "What is the founding year of {s}?",
            ),
            query="year in which {s} was founded",
            nouns=("the founding year of {s}", "the year in which {s} was founded"),
            event="the founding of {s}",
            measure=Measure(
                most=("Which school was founded later, {a} or {b}?", "Which school is younger, {a} or {b}?"),
                least=("Which school was founded earlier, {a} or {b}?", "Which school is older, {a} or {b}?"),
                gap=("How many years after {b} was {a} founded?", "By how many years is {a} younger than {b}?"),
            ),
        ),
        Attribute(
            name="students",
            value="number",
            small=(80, 5_000),
            large=(2_000, 90_000),
            facts=(
                "{S} has {v} students.",
                "{S} is attended by {v} students.",
                "{P} students number {v}.",
                "Every day {v} students come to {s}.",
            ),
            questions=(
                "How many students does {s} have?",
                "How many students attend {s}?",
                "What is the number of students at {s}?",
            ),
            query="number of students at {s}",
            nouns=("the number of students at {s}",),
            measure=Measure(
                most=("Which school has more students, {a} or {b}?",),
                least=("Which school has fewer students, {a} or {b}?",),
                gap=("How many more students does {a} have than {b}?",),
                total=(
                    "How many students do {list} have altogether?",
                    "What is the total number of students at {list}?",
                ),
                ratio=("How many times as many students as {b} does {a} have?",),
                mean=("What is the average number of students at {list}?",),
            ),
        ),
        Attribute(
            name="head",
            value="person",
            facts=(
                "{P} head is {v}.",
                "{S} is headed by {v}.",
                "{v} is the head of {s}.",
                "The head of {s} is {v}.",
            ),
            questions=(
                "Who is the head of {s}?",
                "By whom is {s} headed?",
                "Which person is the head of {s}?",
            ),
            query="head of {s}",
            nouns=("the head of {s}",),
        ),
    ),
    openings=(
        Opening("{name} is a school in {country}.", ()),
        Opening("{name} is a school in {town}.", ("town",)),
        Opening("{name}, founded in {founded}, is a school with {students} students.", ("founded", "students")),
        Opening("{name} is a school in {town} that was founded in {founded}.", ("town", "founded")),
    ),
    start="founded",
    events=(
        "{P} library of {count} books burned down in {year}.",
        "Girls were first admitted in {year}.",
        "A second building near {town} was added in {year}.",
        "In {year} {p} choir won a prize in {town}.",
        "The great hall, finished in {year}, seats {count}.",
    ),
    lookalikes=(
        "{P} rowing team competes with that of {other}, which has {students} students.",
        "{S} should not be confused with {other} in {town}.",
        "{other}, founded in {founded}, follows the same timetable.",
    ),
    roles={"person.school": ("{other} was a student there.", "One of {p} former students is {other}.")},
)
