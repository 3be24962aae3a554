"""Passages out of the records of a file, whatever common shape they have.

    {"title": …, "text": …}          also "contents" or "paragraph_text"; a list of sentences is joined
    {"id": …, "contents": …}         wiki-18: the first line is the title in quotes
    {title: [sentences], …}          one object for the whole corpus, as HotPotQA's
    {"paragraphs": [{…}, …], …}      a question with its passages, as MuSiQue's

Invariant: every record becomes passages or errors with its place; none is passed over in
silence. Not covered: splitting long texts; embedders read only so many tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from toolkit.contracts import Passage
from toolkit.errors import RecordError

TEXT_KEYS = ("text", "contents", "paragraph_text")
_MANY_KEYS = 10
"""An object with more keys than a passage has is a corpus, even if one of its titles is "text"."""
_EXPECTED = 'every passage needs "text" (or "contents", "paragraph_text") and should have "title"'
_KINDS = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}


class SourceRecord(Protocol):
    """A record of a file with its place; `toolkit.formats.records` yields such."""

    @property
    def position(self) -> int:
        """From 1."""
        ...

    @property
    def unit(self) -> str:
        """What `position` counts."""
        ...

    @property
    def value(self) -> dict[str, object] | None:
        """The record. None: it could not be read, see `error`."""
        ...

    @property
    def error(self) -> RecordError | None:
        """Why it could not be read. None: it could."""
        ...


def read_passages(records: Iterable[SourceRecord], source: Path | str) -> Iterator[Passage | RecordError]:
    """The passages of `records` in their order, without ids; in the place of each that cannot be read its error.

    `source` is the name of the file in error messages.
    """
    for record in records:
        if record.value is None:
            yield record.error or RecordError(_EXPECTED, path=source, position=record.position, unit=record.unit)
            continue
        for entry in _entries(record.value):
            if isinstance(entry, Passage):
                yield entry
            else:
                yield RecordError(entry, path=source, position=record.position, unit=record.unit)


def _entries(record: dict[str, object]) -> Iterator[Passage | str]:
    """Passages of one record; a string says what is wrong with one."""
    paragraphs = record.get("paragraphs")
    if isinstance(paragraphs, list) and not all(isinstance(paragraph, str) for paragraph in paragraphs):
        for number, paragraph in enumerate(paragraphs, start=1):
            found = _passage(paragraph) if isinstance(paragraph, dict) else f"expected an object: {_EXPECTED}"
            yield found if isinstance(found, Passage) else f"paragraph {number}: {found}"
    elif _is_titles_to_sentences(record):
        for title, sentences in record.items():
            text = _text(sentences)
            found = Passage(title.strip(), text) if text else f'"{title:.60}": expected a list of sentences'
            yield found
    else:
        yield _passage(record)


def _is_titles_to_sentences(record: dict[str, object]) -> bool:
    # A majority, so that a damaged entry is an error of its own and not one of the whole corpus.
    lists = sum(isinstance(value, list) for value in record.values())
    is_passage = len(record) < _MANY_KEYS and any(key in record for key in TEXT_KEYS)
    return lists > len(record) / 2 and not is_passage


def _passage(record: dict[str, object]) -> Passage | str:
    key = next((key for key in TEXT_KEYS if record.get(key) is not None), None)
    if key is None:
        return f'"text" is missing; {_EXPECTED}'
    text = _text(record[key])
    if text is None:
        return f'expected "{key}" to be text, came {_KINDS[type(record[key])]}'
    title = record.get("title")
    if title is None:
        title, text = _split_title(text) if key == "contents" else ("", text)
    if not isinstance(title, str):
        return f'expected "title" to be text, came {_KINDS[type(title)]}'
    if not text:
        return f'"{key}" is empty; {_EXPECTED}'
    return Passage(title.strip(), text)


def _text(value: object) -> str | None:
    """Text of a string or of a list of sentences; None if it is neither."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list) and all(isinstance(sentence, str) for sentence in value):
        return " ".join(sentence.strip() for sentence in value).strip()
    return None


def _split_title(contents: str) -> tuple[str, str]:
    first, _, rest = contents.partition("\n")
    first = first.strip()
    if len(first) > 1 and first.startswith('"') and first.endswith('"'):
        # The dump that wiki-18 was made from doubles quotes inside quotes.
        return first[1:-1].replace('""', '"'), rest.strip()
    return "", contents
