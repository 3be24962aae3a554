"""A corpus: distinct passages in their order, from a file or any other source.

The source is read twice: `survey` checks every passage before anything is embedded and
takes the digest that names the corpus; the build then streams them again. Invariants:
equal title and text appear once; what `passages` has yielded to its end has the digest
that `survey` found. Not covered: near-duplicates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from schemas.identity import derive_id
from toolkit.contracts import Passage
from toolkit.errors import InputError, RecordError

SHOWN_FAULTS = 5

Entry = Passage | RecordError


@dataclass(frozen=True, slots=True)
class Corpus:
    """A checked source of passages."""

    name: str
    """For people: the file or the settings it came from."""
    digest: str
    """24 hexadecimal digits over the ids of its passages in their order."""
    n_passages: int
    """Distinct ones."""
    n_duplicates: int
    """Passages left out because the same title and text came before."""
    n_skipped: int
    """Records left out because they cannot be read."""
    faults: tuple[RecordError, ...]
    """The first few of what was skipped."""
    entries: Callable[[], Iterable[Entry]]
    """The source from its beginning."""

    def passages(self) -> Iterator[Passage]:
        """Yield the distinct passages with their ids.

        Raises:
            InputError: the source is not as it was when it was surveyed.
        """
        count = _Count()
        for entry in self.entries():
            if isinstance(entry, Passage) and (passage := count.add(entry)) is not None:
                yield passage
        if count.digest() != self.digest:
            raise InputError(f"{self.name}: changed while it was being indexed; run the same command again")


class _Count:
    """Tells the distinct passages and sums them up."""

    def __init__(self) -> None:
        self.n_duplicates = 0
        self._ids: set[str] = set()
        self._hash = hashlib.sha256()

    @property
    def n_passages(self) -> int:
        return len(self._ids)

    def add(self, entry: Passage) -> Passage | None:
        """The passage with an id derived from its content, or None if it has come before."""
        passage_id = derive_id("passage", entry.title, entry.text)
        if passage_id in self._ids:
            self.n_duplicates += 1
            return None
        self._ids.add(passage_id)
        self._hash.update(passage_id.encode() + b"\n")
        return Passage(entry.title, entry.text, passage_id)

    def digest(self) -> str:
        return self._hash.hexdigest()[:24]


def survey(name: str, entries: Callable[[], Iterable[Entry]], *, skip_bad: bool = False) -> Corpus:
    """Check every passage of a source; `entries` must give it from its beginning each time it is called.

    Raises:
        InputError: a record cannot be read and `skip_bad` is not given, or there is no passage.
    """
    count = _Count()
    faults: list[RecordError] = []
    n_skipped = 0
    for entry in entries():
        if isinstance(entry, Passage):
            count.add(entry)
        else:
            n_skipped += 1
            faults += [entry] if len(faults) < SHOWN_FAULTS else []
    if n_skipped and not skip_bad:
        raise InputError(_refusal(name, faults, n_skipped, count.n_passages))
    if not count.n_passages:
        raise InputError(f"{name}: holds no passage" + (f"; {faults[0]}" if faults else ""))
    return Corpus(name, count.digest(), count.n_passages, count.n_duplicates, n_skipped, tuple(faults), entries)


def _refusal(name: str, faults: list[RecordError], n_faults: int, n_passages: int) -> str:
    lines = [f"{name}: {n_faults:,} records cannot be indexed ({n_passages:,} passages can):"]
    lines += [f"  {fault}" for fault in faults]
    if n_faults > len(faults):
        lines.append(f"  … and {n_faults - len(faults):,} more")
    return "\n".join([*lines, "mend them, or leave them out with --skip-bad; nothing was embedded"])
