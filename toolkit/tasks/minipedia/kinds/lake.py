"""Lakes."""

from __future__ import annotations

from toolkit.tasks.minipedia.kind import Attribute, Kind, Measure, Opening

LAKE = Kind(
    name="lake",
    share=3,
    noun="lake",
    attributes=(
        Attribute(
            name="region",
            value="region",
            facts=(
                "{S} lies in the region of {v}.",
                "{S} belongs to the {v} region.",
                "The region around {s} is {v}.",
                "All of {p} shore is part of the region of {v}.",
            ),
            questions=(
                "In which region is {s}?",
                "Which region does {s} belong to?",
                "In what region does {s} lie?",
            ),
            query="region of {s}",
            nouns=("the region containing {s}", "the region in which {s} lies"),
        ),
        Attribute(
            name="area",
            value="number",
            small=(12, 900),
            large=(500, 60_000),
            facts=(
                "{P} surface covers {v} square kilometres.",
                "{S} has an area of {v} square kilometres.",
                "{P} area is {v} square kilometres.",
                "{S} extends over {v} square kilometres.",
            ),
            questions=(
                "What is the area of {s} in square kilometres?",
                "How many square kilometres does {s} cover?",
                "How large is {s} in square kilometres?",
            ),
            query="area of {s}",
            nouns=("the area of {s}",),
            measure=Measure(
                most=("Which lake is larger, {a} or {b}?", "Which lake covers the greater area, {a} or {b}?"),
                least=("Which lake is smaller, {a} or {b}?", "Which lake covers the smaller area, {a} or {b}?"),
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
            name="depth",
            value="number",
            small=(12, 400),
            large=(150, 3_000),
            facts=(
                "{S} is {v} metres deep.",
                "{P} greatest depth is {v} metres.",
                "At the deepest point, {s} measures {v} metres.",
                "Divers found {s} to be {v} metres deep.",
            ),
            questions=(
                "How deep is {s} in metres?",
                "What is the greatest depth of {s} in metres?",
                "How many metres deep is {s}?",
            ),
            query="depth of {s}",
            nouns=("the depth of {s}",),
            measure=Measure(
                most=("Which lake is deeper, {a} or {b}?", "Which lake has the greater depth, {a} or {b}?"),
                least=("Which lake is shallower, {a} or {b}?", "Which lake has the smaller depth, {a} or {b}?"),
                gap=("How many metres deeper is {a} than {b}?", "By how many metres is {a} deeper than {b}?"),
                ratio=("How many times as deep as {b} is {a}?",),
                mean=("What is the average depth of {list} in metres?",),
            ),
        ),
    ),
    openings=(
        Opening("{name} is a lake in {country}.", ()),
        Opening("{name} is a lake in the {region} region of {country}.", ("region",)),
        Opening("{name}, a lake in {region}, has an area of {area} square kilometres.", ("region", "area")),
        Opening("{name} is a lake of {area} square kilometres.", ("area",)),
    ),
    events=(
        "A steamboat to {town} has run every summer since {year}.",
        "{S} froze over completely in {year}.",
        "Some {count} fishermen lived on {p} shore in {year}.",
        "{P} {count} islands are closed to visitors.",
        "A lighthouse was put up near {town} in {year}.",
    ),
    lookalikes=(
        "Geologists compare {s} with {other}, which is {depth} metres deep.",
        "{P} fish are the same as those of {other} in {region}.",
        "A canal leads to {other}, a lake of {area} square kilometres.",
    ),
    roles={"river.mouth": ("The {other} flows into {s}.", "{S} receives the waters of the {other}.")},
)
