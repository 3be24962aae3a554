"""Books."""

from __future__ import annotations

from toolkit.tasks.minipedia.kind import Attribute, Kind, Measure, Opening

BOOK = Kind(
    name="book",
    share=16,
    noun="book",
    attributes=(
        Attribute(
            name="author",
            value="person",
            facts=(
                "{S} was written by {v}.",
                "{P} author is {v}.",
                "{v} wrote {s}.",
                "The author of {s} is {v}.",
            ),
            questions=(
                "Who wrote {s}?",
                "Who is the author of {s}?",
                "By whom was {s} written?",
            ),
            query="author of {s}",
            nouns=("the author of {s}", "the person who wrote {s}"),
        ),
        Attribute(
            name="published",
            value="year",
            facts=(
                "{S} was published in {v}.",
                "{P} year of publication is {v}.",
                "{S} first appeared in print in {v}, when it was published as a whole.",
                "Readers had to wait until {v}, when {s} was published.",
            ),
            questions=(
                "When was {s} published?",
                "In what year was {s} published?",
                "In which year was {s} first published?",
            ),
            query="year in which {s} was published",
            nouns=("the publication year of {s}", "the year in which {s} was published"),
            event="the publication of {s}",
            measure=Measure(
                most=("Which book was published later, {a} or {b}?", "Which book is newer, {a} or {b}?"),
                least=("Which book was published earlier, {a} or {b}?", "Which book is older, {a} or {b}?"),
                gap=("How many years after {b} was {a} published?", "By how many years is {a} newer than {b}?"),
            ),
        ),
        Attribute(
            name="publisher",
            value="company",
            facts=(
                "{S} was published by {v}.",
                "{P} publisher is {v}.",
                "{v} published {s}.",
                "The company that published {s} is {v}.",
            ),
            questions=(
                "Which company published {s}?",
                "Which company is the publisher of {s}?",
                "By which company was {s} published?",
            ),
            query="publisher of {s}",
            nouns=("the publisher of {s}", "the company that published {s}"),
        ),
        Attribute(
            name="pages",
            value="number",
            small=(90, 900),
            large=(500, 6_000),
            facts=(
                "{S} has {v} pages.",
                "{P} first edition has {v} pages.",
                "In print, {s} runs to {v} pages.",
                "At {v} pages, {s} is not a quick read.",
            ),
            questions=(
                "How many pages does {s} have?",
                "How long is {s} in pages?",
                "What is the number of pages of {s}?",
            ),
            query="number of pages of {s}",
            nouns=("the number of pages of {s}",),
            measure=Measure(
                most=("Which book has more pages, {a} or {b}?", "Which book is longer, {a} or {b}?"),
                least=("Which book has fewer pages, {a} or {b}?", "Which book is shorter, {a} or {b}?"),
                gap=("How many more pages does {a} have than {b}?", "By how many pages is {a} longer than {b}?"),
                total=("How many pages do {list} have altogether?", "What is the total number of pages of {list}?"),
                ratio=("How many times as many pages as {b} does {a} have?",),
                mean=("What is the average number of pages of {list}?",),
            ),
        ),
        Attribute(
            name="setting",
            value="town",
            facts=(
                "{S} is set in {v}.",
                "{P} story takes place in {v}.",
                "The story of {s} is set in the town of {v}.",
                "{v} is the setting of {s}.",
            ),
            questions=(
                "In which town is {s} set?",
                "Where is {s} set?",
                "Which town is the setting of {s}?",
            ),
            query="setting of {s}",
            nouns=("the town that is the setting of {s}", "the town in which {s} is set"),
        ),
    ),
    openings=(
        Opening("{name} is a book from {country}.", ()),
        Opening("{name} is a book by {author}.", ("author",)),
        Opening("{name} is a book of {pages} pages, published in {published}.", ("pages", "published")),
        Opening("{name}, published by {publisher}, is a book by {author}.", ("publisher", "author")),
        Opening("{name} is a book that is set in {setting}.", ("setting",)),
    ),
    start="published",
    events=(
        "A film version was shot near {town} in {year}.",
        "The second edition, of {year}, left out {count} lines.",
        "{S} was translated in {year}.",
        "Some {count} copies were sold within a week.",
        "A stage version opened in {town} in {year}.",
    ),
    lookalikes=(
        "Critics compared {s} with {other}, which was published in {published}.",
        "{S} is often sold together with {other}, a book by {author}.",
        "Those who liked {s} often turn to {other}, a book of {pages} pages.",
    ),
)
