"""Evaluations as rows: who is compared, and what each of them answered to each question.

A *contestant* is what people call a run: all evaluations of one name, if they answered different questions (the splits
of a Minipedia have indexes, hence identities, of their own). Invariant: the queries here are all that the figures are
made from; they run as they stand in `toolkit query` once `contestants` is replaced by `evaluations`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import combinations
from typing import Any

import duckdb
import orjson

from toolkit.errors import InputError

ROLLOUTS = """
SELECT c.name, dataset, split, task_id, sample_index, trajectory_id, correct, final_answer, domain, question, answers,
       task_metadata, answer_scorer IS NULL AND reward IS NULL AS ungraded
FROM contestants c JOIN evaluated USING (identity_hash) ORDER BY dataset, split, task_id, sample_index
"""
COSTS = """
SELECT c.name, dataset, split, count(*) AS rollouts, avg(n_steps) AS steps, avg(n_tool_calls) AS tool_calls,
       avg(prompt_tokens) AS prompt_tokens, avg(completion_tokens) AS completion_tokens,
       count(*) FILTER (stop_reason = 'error') AS failed,
       count(*) FILTER (stop_reason = 'max_steps') AS without_answer,
       count(*) FILTER (answer_scorer IS NOT NULL AND correct IS NULL) AS undecided,
       count(*) FILTER (answer_scorer IS NULL AND reward IS NULL) AS ungraded
FROM contestants c JOIN evaluated USING (identity_hash) GROUP BY ALL
"""
STEP_ERRORS = """
SELECT c.name, dataset, split, error_kind, count(*) AS steps
FROM contestants c JOIN evaluated USING (identity_hash) JOIN steps USING (trajectory_id)
WHERE error_kind <> 'none' GROUP BY ALL ORDER BY ALL
"""
_EVALUATIONS = """
SELECT e.*, list(DISTINCT t.task_id) AS task_ids, any_value(m.name) AS model
FROM evaluations e JOIN evaluated t USING (identity_hash) LEFT JOIN models m USING (model_id)
GROUP BY ALL ORDER BY started_at, identity_hash
"""
SHOWN = 8
"""Characters of an identity that tell contestants of one name apart."""

Part = tuple[str, str | None]
"""Dataset and split."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """What is compared."""

    name: str
    """Of this contestant alone."""
    identities: tuple[str, ...]
    run_ids: tuple[str, ...]
    model: str | None
    """Name of the model. None: the lake does not know it."""
    settings: dict[str, Any]
    """What tells its identity from others: kind, policy, sampling, passages."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One rollout."""

    trajectory_id: str
    correct: bool
    """Undecided is not right."""
    answer: str | None


@dataclass(frozen=True, slots=True)
class Question:
    """A question and the graded answers that one contestant gave to it, in order."""

    task_id: str
    text: str
    gold: list[str]
    domain: str
    metadata: dict[str, Any]
    samples: list[Sample] = field(default_factory=list)

    @property
    def right(self) -> int:
        """Samples that are right."""
        return sum(sample.correct for sample in self.samples)


@dataclass(frozen=True, slots=True)
class _Evaluation:
    identity_hash: str
    names: tuple[str, ...]
    """The newest first."""
    run_ids: tuple[str, ...]
    tasks: frozenset[str]
    model: str | None
    settings: dict[str, Any]


def find_contestants(connection: duckdb.DuckDBPyConnection, wanted: Sequence[str]) -> list[Contestant]:
    """What `wanted` names, in that order; all evaluations if it names nothing.

    Raises:
        InputError: there are no evaluations, or none of such a name, run or identity.
    """
    found = [_evaluation(row) for row in connection.sql(_EVALUATIONS).to_arrow_table().to_pylist()]
    if not found:
        raise InputError("the lake holds no evaluation; `toolkit evaluate --tasks QUESTIONS --model MODEL` makes one")
    if not wanted:
        names = dict.fromkeys(evaluation.names[0] for evaluation in found)
        groups = [(name, [one for one in found if one.names[0] == name]) for name in names]
    else:
        groups = [_named(text, found) for text in wanted]
    contestants: dict[tuple[str, ...], Contestant] = {}
    for name, evaluations in groups:
        for contestant in _contestants(name, evaluations):
            contestants.setdefault(contestant.identities, contestant)
    return list(contestants.values())


def only(connection: duckdb.DuckDBPyConnection, identity_hash: str) -> list[Contestant]:
    """The evaluation of that identity; empty if it has no rollout yet."""
    found = [_evaluation(row) for row in connection.sql(_EVALUATIONS).to_arrow_table().to_pylist()]
    return [one for each in found if each.identity_hash == identity_hash for one in _contestants(each.names[0], [each])]


def _evaluation(row: dict[str, Any]) -> _Evaluation:
    identity = orjson.loads(row["identity"])
    newest = [row["name"]] if row["name"] else []
    names = dict.fromkeys([*newest, *sorted(row["names"]), _plain_name(row["model"], identity)])
    return _Evaluation(
        row["identity_hash"],
        tuple(names),
        tuple(row["run_ids"]),
        frozenset(row["task_ids"]),
        row["model"],
        {key: identity[key] for key in ("kind", "sampling", "sag", "max_steps", "passages") if identity.get(key)},
    )


def _plain_name(model: str | None, identity: dict[str, Any]) -> str:
    """What an evaluation without a name of its own is called."""
    return f"{model or 'unknown'} {identity['kind']}{' sag' if identity.get('sag') else ''}"


def _named(text: str, found: Iterable[_Evaluation]) -> tuple[str, list[_Evaluation]]:
    found = list(found)
    if by_name := [one for one in found if text in one.names]:
        return text, by_name
    by_id = [one for one in found if any(known.startswith(text) for known in (one.identity_hash, *one.run_ids))]
    if len(by_id) == 1:
        name = by_id[0].names[0]
        namesakes = [one for one in found if name in one.names]
        # Contestants are told apart by their names: `name` alone may be asked for, too, and means all of these.
        return _telling(name, by_id[0]) if len(namesakes) > 1 else name, by_id
    names = list(dict.fromkeys(one.names[0] for one in found))
    if by_id:
        raise InputError(
            f"{text!r} is the beginning of several evaluations: {', '.join(one.identity_hash for one in by_id)}"
        )
    close = get_close_matches(text, names, n=3)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"there are {', '.join(map(repr, names))}"
    raise InputError(f"no evaluation has the name, run or identity {text!r}; {hint}")


def _contestants(name: str, evaluations: list[_Evaluation]) -> list[Contestant]:
    """One, or, where two of the evaluations answered the same question, one for each."""
    if any(one.tasks & other.tasks for one, other in combinations(evaluations, 2)):
        return [_contestant(_telling(name, one), [one]) for one in evaluations]
    return [_contestant(name, evaluations)]


def _telling(name: str, evaluation: _Evaluation) -> str:
    """What an evaluation is called beside others of the same name."""
    return f"{name} ({evaluation.identity_hash[:SHOWN]})"


def _contestant(name: str, evaluations: list[_Evaluation]) -> Contestant:
    identities = tuple(one.identity_hash for one in evaluations)
    runs = tuple(run_id for one in evaluations for run_id in one.run_ids)
    return Contestant(name, identities, runs, evaluations[0].model, evaluations[0].settings)


def read_questions(
    connection: duckdb.DuckDBPyConnection, contestants: Sequence[Contestant]
) -> dict[str, dict[Part, dict[str, Question]]]:
    """What each contestant answered, by name, part and task_id; makes the table `contestants` for further queries."""
    connection.execute("CREATE OR REPLACE TEMP TABLE contestants (name VARCHAR, identity_hash VARCHAR)")
    rows = [(one.name, identity) for one in contestants for identity in one.identities]
    connection.executemany("INSERT INTO contestants VALUES (?, ?)", rows)
    found: dict[str, dict[Part, dict[str, Question]]] = {one.name: defaultdict(dict) for one in contestants}
    for row in connection.sql(ROLLOUTS).to_arrow_table().to_pylist():
        if row["ungraded"]:
            continue
        questions = found[row["name"]][row["dataset"], row["split"]]
        if row["task_id"] not in questions:
            questions[row["task_id"]] = _question(row)
        sample = Sample(row["trajectory_id"], row["correct"] is True, row["final_answer"])
        questions[row["task_id"]].samples.append(sample)
    return found


def _question(row: dict[str, Any]) -> Question:
    metadata = orjson.loads(row["task_metadata"]) if row["task_metadata"] else {}
    return Question(row["task_id"], row["question"], row["answers"], row["domain"], metadata)


def read_by_part(connection: duckdb.DuckDBPyConnection, query: str) -> dict[tuple[str, Part], list[dict[str, Any]]]:
    """Rows of `COSTS` or `STEP_ERRORS` by contestant and part."""
    found: dict[tuple[str, Part], list[dict[str, Any]]] = defaultdict(list)
    for row in connection.sql(query).to_arrow_table().to_pylist():
        found[row.pop("name"), (row.pop("dataset"), row.pop("split"))].append(row)
    return found
