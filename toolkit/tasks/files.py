"""Questions from files: the paper's, the users' own, HotPotQA and MuSiQue as published.

Accepted, by content (CSV and TSV by name):

    {"metadata": {…}, "examples": [{"id", "question", "answer", …}, …]}   the paper's eleven files
    JSONL, a JSON array, Parquet, CSV, TSV with the fields below           anybody's
    records with supporting_facts or question_decomposition                HotPotQA, 2Wiki, MuSiQue

`question` and `answer` or `answers` are needed; `answer_aliases`, `id`, `dataset` (or `dataset_name`),
`split` and `domain` are used where they are given, and every other field goes into `metadata`. Without
a name, the file's name is that of the dataset, and a last part `_train`, `_dev`, `_test` or `_validation`
that of the split. Without a domain, that of a known question set counts, else `math` where all
answers are plain numbers and `fact` elsewhere.

Invariants: either all questions of a file are good, or one error lists what is wrong with which
record, before anything is spent on the first; ids do not change when questions are reordered.
Not covered: questions with pictures, several questions to one passage.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from schemas import Domain, Task
from schemas.identity import derive_id
from toolkit.errors import InputError, RecordError
from toolkit.formats.json_values import describe, json_text
from toolkit.formats.records import dataset_name, iter_records
from toolkit.tasks import fields
from toolkit.tasks.csv_rows import SEPARATORS, iter_csv
from toolkit.tasks.multihop import FIELDS, annotation_of
from toolkit.tasks.question_sets import known_set

_SPLITS = ("train", "dev", "test", "validation", "val")
_SHOWN_PROBLEMS = 5
_READ = frozenset({"question", "dataset", "dataset_name", "split", "domain", *fields.ANSWER_FIELDS, *fields.ID_FIELDS})


def load_tasks(
    path: Path,
    *,
    limit: int | None = None,
    dataset: str | None = None,
    split: str | None = None,
    domain: Domain | None = None,
    require_answers: bool = True,
) -> Iterator[Task]:
    """The questions of a file in their order.

    Args:
        path: the file.
        limit: only the first so many records are looked at. None: all.
        dataset: name of the question set. None: what the records or the file's name say.
        split: name of its part. None: likewise.
        domain: how answers are compared. None: see the module.
        require_answers: whether a question without a gold answer is an error.

    Raises:
        InputError: the file cannot be read, or holds no question; a record cannot be used, or its id, or without
            ids its question, occurs twice. Of several problems the first are listed, each with its place.
    """
    if limit is not None and limit < 1:
        raise InputError(f"expected a limit of at least 1 question, came {limit}")
    if domain is not None and domain not in fields.DOMAINS:
        raise InputError(f"expected the domain to be one of {', '.join(fields.DOMAINS)}, came {domain!r}")
    reader = _Reader(path, dataset, split, domain, require_answers)
    tasks: list[Task] = []
    problems: list[tuple[_Entry, str]] = []
    for entry in islice(_entries(path), limit):
        try:
            tasks.append(reader.task(entry))
        except RecordError as error:
            problems.append((entry, error.reason))
    if problems:
        raise _refusal(path, problems)
    if not tasks:
        raise InputError(f"{path}: holds no question")
    return iter(tasks)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One record in its place, or why it cannot be read."""

    position: int
    unit: str
    value: dict[str, object] | RecordError
    set_name: str | None = None
    """Name that the file gives to the whole set. None: it gives none."""


def _entries(path: Path) -> Iterator[_Entry]:
    if path.suffix.lower() in SEPARATORS:
        for line, row in iter_csv(path):
            yield _Entry(line, "line", row)
        return
    for record in iter_records(path):
        if record.value is None or "question" in record.value or "examples" not in record.value:
            found = record.error if record.value is None else record.value
            assert found is not None
            yield _Entry(record.position, record.unit, found)
        else:
            yield from _examples(record.value)


def _examples(document: dict[str, object]) -> Iterator[_Entry]:
    """The examples of one of the paper's files."""
    examples, metadata = document["examples"], document.get("metadata")
    if not isinstance(examples, list):
        yield _Entry(1, "record", RecordError(f'expected "examples" to be a list, came {describe(examples)}'))
        return
    info = metadata.get("dataset_info") if isinstance(metadata, dict) else None
    name = info.get("name") if isinstance(info, dict) else None
    for position, example in enumerate(examples, start=1):
        value = example if isinstance(example, dict) else RecordError(f"expected an object, came {describe(example)}")
        yield _Entry(position, "example", value, name if isinstance(name, str) else None)


@dataclass(slots=True)
class _Reader:
    """Turns records into tasks, each id once."""

    path: Path
    dataset: str | None
    split: str | None
    domain: Domain | None
    require_answers: bool
    seen: dict[tuple[str, str | None, str], str] = field(default_factory=dict)
    """Where each id, or question without id, of a set's part stood first."""
    stem: str = field(init=False)
    stem_split: str | None = field(init=False)

    def __post_init__(self) -> None:
        self.stem, self.stem_split = _parts(self.path)

    def task(self, entry: _Entry) -> Task:
        """The task of one record.

        Raises:
            RecordError: without a place; the caller knows it.
        """
        record = entry.value
        if isinstance(record, RecordError):
            raise record
        question, answers, source_id = fields.question_of(record), fields.answers_of(record), fields.id_of(record)
        if not answers and self.require_answers:
            raise RecordError(
                f"{fields.answer_found(record)}; every task needs a gold answer: add it, take the question out, "
                "or leave questions ungraded with --no-gold"
            )
        name = self.dataset or fields.name_of(record, "dataset_name", "dataset") or entry.set_name or self.stem
        known = known_set(name)
        dataset = known.name if known and not self.dataset else name
        split = self.split or fields.name_of(record, "split") or self.stem_split
        self._once((dataset, split, source_id or question), source_id, entry)
        annotation = annotation_of(record)
        default = known.domain if known else "fact" if annotation else fields.guessed_domain(answers)
        metadata = {key: value for key, value in record.items() if self._is_extra(key, annotation is not None)}
        if annotation and annotation.why_no_plan:
            metadata["why_no_plan"] = annotation.why_no_plan
        return Task(
            task_id=derive_id("task", dataset, split, source_id, question),
            dataset=dataset,
            split=split,
            source_id=source_id,
            question=question,
            answers=answers,
            domain=self.domain or fields.domain_of(record) or default,
            plan=annotation.plan.model_dump_json(exclude_none=True) if annotation and annotation.plan else None,
            evidence=annotation.evidence if annotation else None,
            license=known.license if known else None,
            metadata=json_text(metadata) if metadata else None,
        )

    def _once(self, key: tuple[str, str | None, str], source_id: str | None, entry: _Entry) -> None:
        place = f"{entry.unit} {entry.position}"
        first = self.seen.setdefault(key, place)
        if first != place:
            what = f'the id "{source_id}"' if source_id else "the same question"
            raise RecordError(f"{what} stands at {first} already; give every question an id of its own")

    def _is_extra(self, key: str, is_annotated: bool) -> bool:
        if key == "domain":
            return self.domain is not None
        return key not in _READ and not (is_annotated and key in FIELDS)


def _parts(path: Path) -> tuple[str, str | None]:
    """Names of dataset and split as the file's name says them: `hotpotqa_train.json` is (hotpotqa, train)."""
    stem = dataset_name(path)
    name, _, last = stem.rpartition("_")
    return (name, last) if name and last in _SPLITS else (stem, None)


def _refusal(path: Path, problems: list[tuple[_Entry, str]]) -> InputError:
    if len(problems) == 1:
        entry, reason = problems[0]
        return RecordError(reason, path=path, position=entry.position, unit=entry.unit)
    shown = [f"  {entry.unit} {entry.position}: {reason}" for entry, reason in problems[:_SHOWN_PROBLEMS]]
    if len(problems) > _SHOWN_PROBLEMS:
        shown.append(f"  and {len(problems) - _SHOWN_PROBLEMS} more")
    return InputError(f"{path}: {len(problems)} questions cannot be used\n" + "\n".join(shown))
