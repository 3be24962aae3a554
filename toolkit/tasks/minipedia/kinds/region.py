"""Regions of the country."""

from __future__ import annotations

from toolkit.tasks.minipedia.kind import Attribute, Kind, Measure, Opening

REGION = Kind(
    name="region",
    share=3,
    noun="region",
    attributes=(
        Attribute(
            name="capital",
            value="town",
            facts=(
                "{P} capital is {v}.",
                "{S} is governed from its capital, {v}.",
                "The capital of {s} is {v}.",
                "{v} serves as {p} capital.",
                "{P} parliament meets in the capital, {v}.",
            ),
            questions=(
                "What is the capital of {s}?",
                "Which town is the capital of {s}?",
                "Which town serves as the capital of {s}?",
            ),
            query="capital of {s}",
            nouns=("the capital of {s}", "the town that serves as the capital of {s}"),
        ),
        Attribute(
            name="area",
            value="number",
            small=(800, 40_000),
            large=(20_000, 900_000),
            facts=(
                "{S} covers {v} square kilometres.",
                "{P} area is {v} square kilometres.",
                "With its forests and marshes, {s} takes up {v} square kilometres.",
                "{S} has an area of {v} square kilometres.",
            ),
            questions=(
                "What is the area of {s} in square kilometres?",
                "How many square kilometres does {s} cover?",
                "How large is {s} in square kilometres?",
            ),
            query="area of {s}",
            nouns=("the area of {s}",),
            measure=Measure(
                most=("Which region is larger, {a} or {b}?", "Which region covers the greater area, {a} or {b}?"),
                least=("Which region is smaller, {a} or {b}?", "Which region covers the smaller area, {a} or {b}?"),
                gap=(
                    "By how many square kilometres is {a} larger than {b}?",
                    "How many more square kilometres does {a} cover than {b}?",
                ),
                total=(
                    "What is the combined area of {list} in square kilometres?",
                    "How many square kilometres do {list} cover together?",
                ),
                ratio=("How many times as large as {b} is {a}?",),
                mean=("What is the average area of {list} in square kilometres?",),
            ),
        ),
        Attribute(
            name="established",
            value="year",
            facts=(
                "{S} was established in {v}.",
                "{S} has existed as a region since {v}, when it was established by charter.",
                "A charter of {v} established {s}.",
                "{P} establishment dates from {v}.",
            ),
            questions=(
                "When was {s} established?",
                "In what year was {s} established?",
                "In which year was {s} established as a region?",
            ),
            query="year in which {s} was established",
            nouns=("the year of establishment of {s}", "the year in which {s} was established"),
            event="the establishment of {s}",
            measure=Measure(
                most=("Which region was established later, {a} or {b}?", "Which region is younger, {a} or {b}?"),
                least=("Which region was established earlier, {a} or {b}?", "Which region is older, {a} or {b}?"),
                gap=(
                    "How many years after {b} was {a} established?",
                    "By how many years is {a} younger than {b}?",
                ),
            ),
        ),
    ),
    openings=(
        Opening("{name} is a region of {country}.", ()),
        Opening("{name} is one of the regions of {country}; its capital is {capital}.", ("capital",)),
        Opening("{name} is a region of {country} that was established in {established}.", ("established",)),
        Opening("{name}, which covers {area} square kilometres, is a region of {country}.", ("area",)),
    ),
    start="established",
    events=(
        "In {year} a drought ruined the harvest in the whole region.",
        "The first census, in {year}, counted {count} farms.",
        "A railway to {town} was opened in {year}.",
        "Until {year} the courts sat in {town}.",
        "The coat of arms shows {count} stars and was adopted in {year}.",
    ),
    lookalikes=(
        "Visitors often confuse {s} with {other}, whose capital is {capital}.",
        "{other}, which was established in {established}, has a similar flag.",
        "{S} trades mostly with {other}, a region of {area} square kilometres.",
    ),
    roles={
        "town.region": ("One of {p} towns is {other}.", "Among {p} towns is {other}."),
        "lake.region": ("{other} is a popular destination there.",),
        "mountain.region": ("{other} is one of {p} landmarks.",),
    },
)
