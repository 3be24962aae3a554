"""Companies; some of them publish books."""

from __future__ import annotations

from toolkit.tasks.minipedia.kind import Attribute, Kind, Measure, Opening

COMPANY = Kind(
    name="company",
    share=12,
    noun="company",
    attributes=(
        Attribute(
            name="founder",
            value="person",
            facts=(
                "{S} was founded by {v}.",
                "{P} founder was {v}.",
                "{v} founded {s} in a rented shed.",
                "{S} goes back to {v}, its founder.",
                "The founder of {s} was {v}.",
            ),
            questions=(
                "Who founded {s}?",
                "Who was the founder of {s}?",
                "By whom was {s} founded?",
            ),
            query="founder of {s}",
            nouns=("the founder of {s}", "the person who founded {s}"),
        ),
        Attribute(
            name="founded",
            value="year",
            facts=(
                "{S} was founded in {v}.",
                "{S} has been in business since {v}, when it was founded.",
                "{P} founding year is {v}.",
                "Founded in {v}, {s} had only three workers at first.",
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
                most=("Which company was founded later, {a} or {b}?", "Which company is younger, {a} or {b}?"),
                least=("Which company was founded earlier, {a} or {b}?", "Which company is older, {a} or {b}?"),
                gap=("How many years after {b} was {a} founded?", "By how many years is {a} younger than {b}?"),
            ),
        ),
        Attribute(
            name="headquarters",
            value="town",
            facts=(
                "{P} headquarters are in {v}.",
                "{S} is based in {v}.",
                "{S} has its headquarters in {v}.",
                "The headquarters of {s} are in the town of {v}.",
            ),
            questions=(
                "In which town is {s} based?",
                "Where does {s} have its headquarters?",
                "In which town are the headquarters of {s}?",
            ),
            query="headquarters of {s}",
            nouns=("the town that houses the headquarters of {s}", "the town in which {s} is based"),
        ),
        Attribute(
            name="employees",
            value="number",
            small=(20, 40_000),
            large=(6_000, 900_000),
            facts=(
                "{S} employs {v} people.",
                "{S} has {v} employees.",
                "{P} staff numbers {v}.",
                "Today {v} people work for {s}.",
            ),
            questions=(
                "How many people work for {s}?",
                "How many employees does {s} have?",
                "How many people does {s} employ?",
            ),
            query="number of employees of {s}",
            nouns=("the number of employees of {s}",),
            measure=Measure(
                most=(
                    "Which company has more employees, {a} or {b}?",
                    "Which company employs more people, {a} or {b}?",
                ),
                least=(
                    "Which company has fewer employees, {a} or {b}?",
                    "Which company employs fewer people, {a} or {b}?",
                ),
                gap=(
                    "How many more employees does {a} have than {b}?",
                    "How many more people work for {a} than for {b}?",
                ),
                total=(
                    "How many people do {list} employ altogether?",
                    "What is the total number of employees of {list}?",
                ),
                ratio=("How many times as many employees as {b} does {a} have?",),
                mean=("What is the average number of employees of {list}?",),
            ),
        ),
        Attribute(
            name="product",
            value="word",
            facts=(
                "{S} makes {v}.",
                "{S} is known for its {v}.",
                "{P} main product is {v}.",
                "The workshops of {s} turn out {v}.",
            ),
            questions=(
                "What does {s} make?",
                "What does {s} produce?",
                "What is the main product of {s}?",
            ),
            query="main product of {s}",
            nouns=("the main product of {s}",),
        ),
    ),
    openings=(
        Opening("{name} is a company in {country}.", ()),
        Opening("{name} is a company based in {headquarters}.", ("headquarters",)),
        Opening("{name} is a company that was founded in {founded} by {founder}.", ("founded", "founder")),
        Opening(
            "{name} is a company with {employees} employees and headquarters in {headquarters}.",
            ("employees", "headquarters"),
        ),
    ),
    start="founded",
    events=(
        "A strike in {year} lasted {count} days.",
        "{S} bought a warehouse in {town} in {year}.",
        "In {year} {s} nearly went bankrupt.",
        "A branch in {town} was opened in {year}.",
        "{P} archive of {count} drawings was given to a museum in {year}.",
    ),
    lookalikes=(
        "{P} closest rival is {other}, which has {employees} employees.",
        "In court {s} once lost to {other}, a company based in {headquarters}.",
        "{other}, which was founded by {founder}, owns a small share in {s}.",
    ),
    roles={"book.publisher": ("{S} published {other}.", "{P} list includes {other}.")},
)
