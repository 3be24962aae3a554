"""Annotations of multi-hop question sets: which passages hold the answer, and how to get there.

- `supporting_facts` of HotPotQA and 2WikiMultiHopQA, as published (`[[title, sentence], …]`) or as on the
  Hugging Face Hub (`{"title": […], …}`), become evidence.
- `question_decomposition` of MuSiQue becomes evidence and a plan of lookups. A sub-question is kept as it
  is; the form `Brand >> author` is put as `Brand: author`.

Invariant: each lookup's answer stands verbatim in the passage it names, as a plan requires, if only as a
part of a longer word; where one does not, or a passage is missing, there is no plan, and `why_no_plan`
says which hop is to blame.
Not covered: the passages themselves (they are a corpus), which sentence is meant.
Source: Trivedi et al. 2022 (MuSiQue); Yang et al. 2018 (HotPotQA).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import count

from pydantic import ValidationError

from toolkit.errors import RecordError
from toolkit.formats.json_values import describe, excerpt
from toolkit.tasks.plan import Lookup, Plan

FIELDS = ("question_decomposition", "paragraphs", "supporting_facts", "context")
"""What is read here, and the passages, which are not copied into a task."""

_SPACE_BEFORE_MARK = re.compile(r"\s+([?.,;!])")


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a multi-hop record says about the way to its answer."""

    evidence: list[str]
    """Titles, in the order of the hops, each once."""
    plan: Plan | None = None
    """None: not annotated, or not usable."""
    why_no_plan: str | None = None
    """None: there is a plan, or no decomposition."""


def annotation_of(record: dict[str, object]) -> Annotation | None:
    """The annotation of a HotPotQA, 2WikiMultiHopQA or MuSiQue record. None: it is no such record.

    Raises:
        RecordError: the annotation does not have its published form.
    """
    if "question_decomposition" in record:
        return _musique(record)
    if "supporting_facts" in record:
        return Annotation(_titles(record["supporting_facts"]))
    return None


def _titles(facts: object) -> list[str]:
    if isinstance(facts, dict):
        titles = facts.get("title")
    else:
        titles = [fact[0] if isinstance(fact, list) and fact else fact for fact in _objects(facts, "supporting_facts")]
    if not isinstance(titles, list) or not all(isinstance(title, str) for title in titles):
        raise RecordError(f'expected "supporting_facts" to be a list of [title, sentence], came {describe(facts)}')
    return list(dict.fromkeys(titles))


def _musique(record: dict[str, object]) -> Annotation:
    passages = {}
    for number, raw in enumerate(_objects(record.get("paragraphs", []), "paragraphs")):
        place = f"paragraphs[{number}]"
        if not isinstance(raw, dict):
            raise RecordError(f"expected {place} to be an object, came {describe(raw)}")
        passages[raw.get("idx")] = (_text(raw, "title", place), _text(raw, "paragraph_text", place))
    lookups: list[Lookup] = []
    evidence: list[str] = []
    why: str | None = None
    for number, raw in zip(count(1), _objects(record["question_decomposition"], "question_decomposition")):
        place = f"question_decomposition[{number - 1}]"
        if not isinstance(raw, dict):
            raise RecordError(f"expected {place} to be an object, came {describe(raw)}")
        question, answer = _text(raw, "question", place), _text(raw, "answer", place)
        title, text = passages.get(raw.get("paragraph_support_idx"), (None, ""))
        if title is not None:
            evidence.append(title)
        if title is None or answer not in text:
            missing = "its passage is missing" if title is None else f"{excerpt(answer)!r} does not stand in {title!r}"
            why = why or f"hop {number}: {missing}"
            continue
        lookups.append(Lookup(question=_asked(question), query=_query(question), title=title, answer=answer))
    plan = None if why else _plan(lookups)
    return Annotation(list(dict.fromkeys(evidence)), plan, why)


def _plan(lookups: list[Lookup]) -> Plan:
    try:
        return Plan(operations=tuple(lookups))
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise RecordError(f'expected "question_decomposition" to hold hops in their order: {reason}') from error


def _asked(question: str) -> str:
    return _SPACE_BEFORE_MARK.sub(r"\1", question.replace(" >> ", ": ")).strip()


def _query(question: str) -> str:
    return _SPACE_BEFORE_MARK.sub(r"\1", question.replace(" >> ", " ")).strip()


def _objects(value: object, name: str) -> list[object]:
    if not isinstance(value, list):
        raise RecordError(f'expected "{name}" to be a list, came {describe(value)}')
    return value


def _text(raw: dict[str, object], name: str, place: str) -> str:
    value = raw.get(name)
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise RecordError(f"expected {place}.{name} to be text, came {describe(value)}")
