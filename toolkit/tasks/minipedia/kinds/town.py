"""Towns."""

from __future__ import annotations

from toolkit.tasks.minipedia.kind import Attribute, Kind, Measure, Opening

TOWN = Kind(
    name="town",
    share=12,
    noun="town",
    attributes=(
        Attribute(
            name="region",
            value="region",
            facts=(
                "{S} belongs to the region of {v}.",
                "{S} is part of the {v} region.",
                "{S} is situated in the region of {v}.",
                "The region around {s} is called {v}.",
            ),
            questions=(
                "In which region is {s}?",
                "Which region does {s} belong to?",
                "What region is {s} part of?",
            ),
            query="region of the town {s}",
            nouns=("the region containing {s}", "the region to which {s} belongs"),
        ),
        Attribute(
            name="population",
            value="number",
            small=(800, 250_000),
            large=(60_000, 8_000_000),
            facts=(
                "{S} has {v} inhabitants.",
                "{P} population is {v}.",
                "According to the last census, {v} people live in {s}.",
                "{S} is home to {v} people.",
                "The last census put the population of {s} at {v}.",
            ),
            questions=(
                "What is the population of {s}?",
                "How many people live in {s}?",
                "How many inhabitants does {s} have?",
            ),
            query="population of {s}",
            nouns=("the population of {s}", "the number of inhabitants of {s}"),
            measure=Measure(
                most=("Which town has more inhabitants, {a} or {b}?", "Which town is more populous, {a} or {b}?"),
                least=("Which town has fewer inhabitants, {a} or {b}?", "Which town is less populous, {a} or {b}?"),
                gap=(
                    "How many more inhabitants does {a} have than {b}?",
                    "By how much does the population of {a} exceed that of {b}?",
                ),
                total=(
                    "What is the combined population of {list}?",
                    "How many people live in {list} altogether?",
                ),
                ratio=("How many times as many inhabitants as {b} does {a} have?",),
                mean=("What is the average population of {list}?", "How many people on average live in {list}?"),
            ),
        ),
        Attribute(
            name="founded",
            value="year",
            facts=(
                "{S} was founded in {v}.",
                "{P} foundation dates back to {v}.",
                "Settlers from the coast founded {s} in {v}.",
                "Founded in {v}, {s} grew slowly at first.",
                "The year of {p} founding is {v}.",
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
                most=("Which town was founded later, {a} or {b}?", "Which town is younger, {a} or {b}?"),
                least=("Which town was founded earlier, {a} or {b}?", "Which town is older, {a} or {b}?"),
                gap=("How many years after {b} was {a} founded?", "By how many years is {a} younger than {b}?"),
            ),
        ),
        Attribute(
            name="elevation",
            value="number",
            small=(15, 900),
            large=(300, 4_500),
            facts=(
                "{S} lies {v} metres above sea level.",
                "{P} elevation is {v} metres.",
                "At an elevation of {v} metres, {s} is known for its cool summers.",
                "The market square of {s} stands at an elevation of {v} metres.",
            ),
            questions=(
                "What is the elevation of {s} in metres?",
                "How many metres above sea level does {s} lie?",
                "At what elevation, in metres, does {s} lie?",
            ),
            query="elevation of the town {s}",
            nouns=("the elevation of {s}",),
            measure=Measure(
                most=("Which town lies higher above sea level, {a} or {b}?", "Which town is higher up, {a} or {b}?"),
                least=("Which town lies lower above sea level, {a} or {b}?", "Which town is lower down, {a} or {b}?"),
                gap=(
                    "How many metres higher above sea level does {a} lie than {b}?",
                    "By how many metres does the elevation of {a} exceed that of {b}?",
                ),
                mean=("What is the average elevation of {list} in metres?",),
            ),
        ),
        Attribute(
            name="river",
            value="river",
            facts=(
                "{S} lies on the {v}.",
                "The {v} flows through {s}.",
                "{P} old quarter stands on the banks of the {v}.",
                "Barges reach {s} by the {v}.",
            ),
            questions=(
                "Which river flows through {s}?",
                "On which river does {s} lie?",
                "What is the name of the river that flows through {s}?",
            ),
            query="river of the town {s}",
            nouns=("the river flowing through {s}", "the river on which {s} lies"),
        ),
        Attribute(
            name="mayor",
            value="person",
            facts=(
                "{P} mayor is {v}.",
                "The mayor of {s} is {v}.",
                "{v} is the mayor of {s}.",
                "The office of mayor of {s} is held by {v}.",
            ),
            questions=(
                "Who is the mayor of {s}?",
                "What is the name of the mayor of {s}?",
                "Which person is the mayor of {s}?",
            ),
            query="mayor of {s}",
            nouns=("the mayor of {s}",),
        ),
    ),
    openings=(
        Opening("{name} is a town in the {region} region of {country}.", ("region",)),
        Opening("{name} is a town on the {river} in {region}, {country}.", ("river", "region")),
        Opening("{name} is a town of {population} people in the region of {region}.", ("population", "region")),
        Opening("{name}, founded in {founded}, is a town on the {river}.", ("founded", "river")),
        Opening("{name} is a town in {country} with {population} inhabitants.", ("population",)),
    ),
    start="founded",
    events=(
        "A fire destroyed {count} houses in {year}.",
        "The railway from {town} arrived in {year}.",
        "A library with {count} volumes was opened in {year}.",
        "The last flood, in {year}, reached the steps of the town hall.",
        "A monument put up in {year} recalls the {count} victims of the siege.",
        "The weekly market moved here from {town} in {year}.",
    ),
    lookalikes=(
        "Letters for {s} are sometimes sent by mistake to {other}, a town of {population} people.",
        "{P} football team plays every spring against that of {other}, which was founded in {founded}.",
        "{other}, where {mayor} is mayor, is a partner town.",
        "The road to {other}, which lies at {elevation} metres, is closed in winter.",
    ),
    roles={
        "person.birthplace": ("{other} was born there.", "One of the people born there is {other}."),
        "book.setting": ("The story of {other} takes place there.",),
        "company.headquarters": ("{other} has its headquarters there.",),
    },
)
