"""Bridges."""

from __future__ import annotations

from toolkit.tasks.minipedia.kind import Attribute, Kind, Measure, Opening

BRIDGE = Kind(
    name="bridge",
    share=5,
    noun="bridge",
    the="the ",
    attributes=(
        Attribute(
            name="river",
            value="river",
            facts=(
                "{S} crosses the {v}.",
                "{S} spans the {v}.",
                "{S} leads over the {v}.",
                "The {v} is crossed by {s}.",
            ),
            questions=(
                "Which river does {s} cross?",
                "Which river is crossed by {s}?",
                "What is the name of the river that {s} spans?",
            ),
            query="river crossed by {s}",
            nouns=("the river crossed by {s}", "the river that {s} crosses"),
        ),
        Attribute(
            name="town",
            value="town",
            facts=(
                "{S} stands in {v}.",
                "{S} is in the town of {v}.",
                "{S} is a landmark of {v}, the town in which it stands.",
                "The town in which {s} was built is {v}.",
            ),
            questions=(
                "In which town is {s}?",
                "In which town was {s} built?",
                "In which town does {s} stand?",
            ),
            query="town of {s}",
            nouns=("the town that is home to {s}", "the town in which {s} stands"),
        ),
        Attribute(
            name="length",
            value="number",
            small=(40, 2_500),
            large=(900, 40_000),
            facts=(
                "{S} is {v} metres long.",
                "{P} length is {v} metres.",
                "From bank to bank, {s} measures {v} metres.",
                "{S} has a length of {v} metres.",
            ),
            questions=(
                "How long is {s} in metres?",
                "What is the length of {s} in metres?",
                "How many metres long is {s}?",
            ),
            query="length of {s}",
            nouns=("the length of {s}",),
            measure=Measure(
                most=("Which bridge is longer, {a} or {b}?", "Which bridge has the greater length, {a} or {b}?"),
                least=("Which bridge is shorter, {a} or {b}?", "Which bridge has the smaller length, {a} or {b}?"),
                gap=("How many metres longer is {a} than {b}?", "By how many metres is {a} longer than {b}?"),
                total=("What is the combined length of {list} in metres?",),
                ratio=("How many times as long as {b} is {a}?",),
                mean=("What is the average length of {list} in metres?",),
            ),
        ),
        Attribute(
            name="opened",
            value="year",
            facts=(
                "{S} was opened in {v}.",
                "{P} opening took place in {v}.",
                "Traffic has used {s} since it was opened in {v}.",
                "After six years of work, {s} was opened in {v}.",
            ),
            questions=(
                "When was {s} opened?",
                "In what year was {s} opened?",
                "In which year did {s} open?",
            ),
            query="year in which {s} was opened",
            nouns=("the opening year of {s}", "the year in which {s} was opened"),
            event="the opening of {s}",
            measure=Measure(
                most=("Which bridge was opened later, {a} or {b}?", "Which bridge is younger, {a} or {b}?"),
                least=("Which bridge was opened earlier, {a} or {b}?", "Which bridge is older, {a} or {b}?"),
                gap=("How many years after {b} was {a} opened?", "By how many years is {a} younger than {b}?"),
            ),
        ),
        Attribute(
            name="designer",
            value="person",
            facts=(
                "{S} was designed by {v}.",
                "{P} designer was {v}.",
                "{v} designed {s}.",
                "The plans for {s} were drawn by its designer, {v}.",
            ),
            questions=(
                "Who designed {s}?",
                "Who was the designer of {s}?",
                "By whom was {s} designed?",
            ),
            query="designer of {s}",
            nouns=("the designer of {s}", "the person who designed {s}"),
        ),
    ),
    openings=(
        Opening("{name} is a bridge in {country}.", ()),
        Opening("{name} is a bridge over the {river}.", ("river",)),
        Opening("{name} is a bridge in {town} that was opened in {opened}.", ("town", "opened")),
        Opening("{name} is a bridge of {length} metres over the {river}.", ("length", "river")),
    ),
    start="opened",
    events=(
        "A toll was charged until {year}.",
        "{P} lamps were replaced in {year}.",
        "A storm in {year} tore away {count} of its railings.",
        "Some {count} vehicles a day crossed {s} in {year}.",
        "The stones came from a quarry near {town}.",
    ),
    lookalikes=(
        "{P} arches resemble those of the {other}, which was opened in {opened}.",
        "{S} is often photographed together with the {other}, which is {length} metres long.",
        "{S} is painted in the same green as the {other}, which was designed by {designer}.",
    ),
)
