"""Rivers."""

from __future__ import annotations

from toolkit.tasks.minipedia.kind import Attribute, Kind, Measure, Opening

RIVER = Kind(
    name="river",
    share=4,
    noun="river",
    the="the ",
    attributes=(
        Attribute(
            name="length",
            value="number",
            small=(30, 900),
            large=(500, 12_000),
            facts=(
                "{S} is {v} kilometres long.",
                "{P} length is {v} kilometres.",
                "From source to mouth, {s} measures {v} kilometres.",
                "The course of {s} is {v} kilometres long.",
            ),
            questions=(
                "How long is {s} in kilometres?",
                "What is the length of {s} in kilometres?",
                "How many kilometres long is {s}?",
            ),
            query="length of {s}",
            nouns=("the length of {s}",),
            measure=Measure(
                most=("Which river is longer, {a} or {b}?", "Which river has the longer course, {a} or {b}?"),
                least=("Which river is shorter, {a} or {b}?", "Which river has the shorter course, {a} or {b}?"),
                gap=("How many kilometres longer is {a} than {b}?", "By how many kilometres is {a} longer than {b}?"),
                total=("What is the combined length of {list} in kilometres?",),
                ratio=("How many times as long as {b} is {a}?",),
                mean=("What is the average length of {list} in kilometres?",),
            ),
        ),
        Attribute(
            name="source",
            value="mountain",
            facts=(
                "{S} rises on {v}.",
                "{P} source is on {v}.",
                "The source of {s} lies on the slopes of {v}.",
                "{S} springs from a glacier on {v}.",
            ),
            questions=(
                "On which mountain does {s} rise?",
                "On which mountain is the source of {s}?",
                "Which mountain does {s} spring from?",
            ),
            query="mountain with the source of {s}",
            nouns=("the mountain at the source of {s}", "the mountain on which {s} rises"),
        ),
        Attribute(
            name="mouth",
            value="lake",
            facts=(
                "{S} flows into {v}.",
                "{S} empties into {v}.",
                "{P} waters end in {v}.",
                "The mouth of {s} is on {v}.",
            ),
            questions=(
                "Into which lake does {s} flow?",
                "Which lake does {s} empty into?",
                "In which lake does {s} end?",
            ),
            query="lake into which {s} flows",
            nouns=("the lake at the mouth of {s}", "the lake into which {s} flows"),
        ),
    ),
    openings=(
        Opening("{name} is a river in {country}.", ()),
        Opening("{name} is a river of {length} kilometres in {country}.", ("length",)),
        Opening("{name} is a river that rises on {source}.", ("source",)),
        Opening("{name} is a river in {country} that empties into {mouth}.", ("mouth",)),
    ),
    events=(
        "Gold was found in {p} sands in {year}.",
        "In {year} {s} flooded the lower part of {town}.",
        "Until {year} some {count} rafts passed every spring.",
        "A dam above {town} was planned in {year} but never built.",
        "{P} waters drive {count} mills.",
    ),
    lookalikes=(
        "{S} is fished for the same trout as the {other}, which is {length} kilometres long.",
        "A low ridge parts {s} from the {other}, which flows into {mouth}.",
        "Old charts show {s} as a branch of the {other}.",
    ),
    roles={
        "town.river": ("The town of {other} stands on {p} banks.", "{S} passes {other} on its way to the mouth."),
        "bridge.river": ("{S} is crossed by the {other}.",),
    },
)
