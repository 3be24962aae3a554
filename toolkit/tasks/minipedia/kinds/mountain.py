"""Mountains."""

from __future__ import annotations

from toolkit.tasks.minipedia.kind import Attribute, Kind, Measure, Opening

MOUNTAIN = Kind(
    name="mountain",
    share=4,
    noun="mountain",
    attributes=(
        Attribute(
            name="height",
            value="number",
            small=(700, 4_800),
            large=(2_500, 19_000),
            facts=(
                "{S} is {v} metres high.",
                "{P} height is {v} metres.",
                "{P} summit stands {v} metres above the sea.",
                "The summit of {s} reaches a height of {v} metres.",
            ),
            questions=(
                "How high is {s} in metres?",
                "What is the height of {s} in metres?",
                "How many metres high is {s}?",
            ),
            query="height of {s}",
            nouns=("the height of {s}",),
            measure=Measure(
                most=("Which mountain is higher, {a} or {b}?", "Which mountain has the higher summit, {a} or {b}?"),
                least=("Which mountain is lower, {a} or {b}?", "Which mountain has the lower summit, {a} or {b}?"),
                gap=("How many metres higher is {a} than {b}?", "By how many metres does {a} rise above {b}?"),
                ratio=("How many times as high as {b} is {a}?",),
                mean=("What is the average height of {list} in metres?",),
            ),
        ),
        Attribute(
            name="region",
            value="region",
            facts=(
                "{S} stands in the region of {v}.",
                "{S} belongs to the {v} region.",
                "{S} is part of the highlands of {v}.",
                "The region in which {s} lies is {v}.",
            ),
            questions=(
                "In which region is {s}?",
                "Which region does {s} belong to?",
                "In what region does {s} stand?",
            ),
            query="region of {s}",
            nouns=("the region containing {s}", "the region in which {s} stands"),
        ),
        Attribute(
            name="climber",
            value="person",
            facts=(
                "The first to climb {s} was {v}.",
                "{v} was the first to climb {s}.",
                "{S} was first climbed by {v}.",
                "{P} first ascent was made by {v}.",
            ),
            questions=(
                "Who first climbed {s}?",
                "Who was the first person to climb {s}?",
                "Who made the first ascent of {s}?",
            ),
            query="first person to climb {s}",
            nouns=("the first person to climb {s}", "the person who made the first ascent of {s}"),
        ),
        Attribute(
            name="climbed",
            value="year",
            facts=(
                "{P} first ascent took place in {v}.",
                "{S} was first climbed in {v}.",
                "Nobody reached {p} summit before {v}, the year of the first ascent.",
                "The first ascent of {s} dates from {v}.",
            ),
            questions=(
                "When was {s} first climbed?",
                "In what year was {s} first climbed?",
                "In which year was the first ascent of {s} made?",
            ),
            query="year of the first ascent of {s}",
            nouns=("the year of the first ascent of {s}", "the year in which {s} was first climbed"),
            event="the first ascent of {s}",
            measure=Measure(
                most=("Which mountain was first climbed later, {a} or {b}?",),
                least=("Which mountain was first climbed earlier, {a} or {b}?",),
                gap=("How many years after {b} was {a} first climbed?",),
            ),
        ),
    ),
    openings=(
        Opening("{name} is a mountain in {country}.", ()),
        Opening("{name} is a mountain in the {region} region.", ("region",)),
        Opening("{name} is a mountain of {height} metres in {country}.", ("height",)),
        Opening("{name}, {height} metres high, is a mountain in {region}.", ("height", "region")),
    ),
    start="climbed",
    events=(
        "A hut with {count} beds was built below the summit in {year}.",
        "In {year} an avalanche blocked the road to {town} for weeks.",
        "The northern face was not climbed until {year}.",
        "A weather station has stood on {p} summit since {year}.",
        "On clear days the lights of {town} can be seen from the top.",
    ),
    lookalikes=(
        "From the summit one sees {other}, which is {height} metres high.",
        "Climbers often combine {s} with {other}, first climbed in {climbed}.",
        "Older maps confuse {s} with {other} in {region}.",
    ),
    roles={"river.source": ("The {other} rises on {p} slopes.", "{P} meltwater feeds the {other}.")},
)
