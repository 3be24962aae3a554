"""People."""

from __future__ import annotations

from toolkit.tasks.minipedia.kind import Attribute, Kind, Measure, Opening

PERSON = Kind(
    name="person",
    share=36,
    noun="",
    attributes=(
        Attribute(
            name="born",
            value="year",
            facts=(
                "{S} was born in {v}.",
                "{P} year of birth is {v}.",
                "Parish records show that {s} was born in {v}.",
                "Born in {v}, {s} was the youngest of three children.",
                "The year of {p} birth was {v}.",
            ),
            questions=(
                "When was {s} born?",
                "In what year was {s} born?",
                "What is the birth year of {s}?",
            ),
            query="birth year of {s}",
            nouns=("the birth year of {s}", "the year in which {s} was born"),
            event="the birth of {s}",
            measure=Measure(
                most=("Who was born later, {a} or {b}?", "Who is younger, {a} or {b}?"),
                least=("Who was born earlier, {a} or {b}?", "Who is older, {a} or {b}?"),
                gap=("How many years after {b} was {a} born?", "By how many years is {a} younger than {b}?"),
            ),
        ),
        Attribute(
            name="birthplace",
            value="town",
            facts=(
                "{P} birthplace is {v}.",
                "{S} was born in {v}.",
                "{S} was born in the town of {v}.",
                "The house in {v} where {s} was born is now a museum.",
                "{v} is {p} birthplace.",
            ),
            questions=(
                "Where was {s} born?",
                "In which town was {s} born?",
                "What is the birthplace of {s}?",
            ),
            query="birthplace of {s}",
            nouns=("the birthplace of {s}", "the town where {s} was born"),
        ),
        Attribute(
            name="profession",
            value="word",
            facts=(
                "{S} worked as {a_v}.",
                "By profession {s} {is} {a_v}.",
                "{S} made a name as {a_v}.",
                "{S} earned {his} living as {a_v}.",
            ),
            questions=(
                "What is the profession of {s}?",
                "What is the occupation of {s}?",
                "Which profession does {s} have?",
            ),
            query="profession of {s}",
            nouns=("the profession of {s}",),
        ),
        Attribute(
            name="school",
            value="school",
            facts=(
                "{S} studied at {v}.",
                "{S} attended {v}.",
                "{S} received {his} education at {v}.",
                "{P} student years were spent at {v}.",
                "Thanks to a scholarship, {s} attended {v}.",
            ),
            questions=(
                "Which school did {s} attend?",
                "At which school did {s} study?",
                "At which school was {s} educated?",
            ),
            query="school attended by {s}",
            nouns=("the school attended by {s}", "the school at which {s} studied"),
        ),
        Attribute(
            name="mentor",
            value="person",
            facts=(
                "{P} mentor was {v}.",
                "{v} was {p} mentor.",
                "{S} learned {his} trade from {v}, {his} mentor.",
                "As a beginner {s} had {v} as {his} mentor.",
            ),
            questions=(
                "Who was the mentor of {s}?",
                "Who mentored {s}?",
                "By whom was {s} mentored?",
            ),
            query="mentor of {s}",
            nouns=("the mentor of {s}", "the person who mentored {s}"),
        ),
        Attribute(
            name="spouse",
            value="person",
            facts=(
                "{S} married {v}.",
                "{P} spouse {is} {v}.",
                "{S} {is} married to {v}.",
                "At a small ceremony {s} married {v}.",
            ),
            questions=(
                "Who is the spouse of {s}?",
                "Whom did {s} marry?",
                "Who is married to {s}?",
            ),
            query="spouse of {s}",
            nouns=("the spouse of {s}", "the person married to {s}"),
        ),
    ),
    openings=(
        Opening("{name} {is} {a_profession} from {country}.", ("profession",)),
        Opening("{name} (born {born}) {is} {a_profession}.", ("born", "profession")),
        Opening("{name}, born in {birthplace}, {is} {a_profession}.", ("birthplace", "profession")),
        Opening("{name} {is} {a_profession} who studied at {school}.", ("profession", "school")),
        Opening(
            "{name} {is} {a_profession} who was born in {birthplace} in {born}.", ("profession", "birthplace", "born")
        ),
    ),
    start="born",
    events=(
        "In {year} {s} moved to {town}.",
        "{S} was awarded the Silver Quill in {year}.",
        "A street in {town} was named after {him} in {year}.",
        "In {year} {s} walked from {town} to the coast for a wager.",
        "{P} collection of {count} letters was sold in {year}.",
        "A fall from a horse in {year} left {him} with a limp.",
    ),
    lookalikes=(
        "{S} is sometimes mistaken for {other}, who was born in {born}.",
        "{S} exchanged letters with {other}, {a_profession} from {birthplace}.",
        "{S} shared a flat for some years with {other}, who studied at {school}.",
    ),
    roles={
        "book.author": ("{S} wrote {other}.", "Among {p} works is {other}."),
        "company.founder": ("{S} founded {other}.",),
        "bridge.designer": ("{S} designed the {other}.",),
        "mountain.climber": ("{S} was the first to climb {other}.",),
        "town.mayor": ("{S} is the mayor of {other}.",),
        "school.head": ("{S} is the head of {other}.",),
        "person.mentor": ("{S} was the mentor of {other}.",),
    },
)
