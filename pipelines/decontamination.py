"""The rule `decontaminate`: drop trajectories that overlap benchmarks, and report those that only read of them.

Benchmarks are read before the first rule runs. The tasks of the whole lake show what is boilerplate; then every
trajectory that is still in is looked at once, in the order of its id, and only hits are held in memory.
Invariant: every kept trajectory is free of what `drop` names, as `toolkit.contamination.scan` finds it.
System prompts and tool definitions are not looked at. Not covered: paraphrase, translation.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa

from pipelines.recipe import DecontaminateOptions
from schemas.identity import canonical_json
from toolkit.contamination.hits import Hit, Place, Segment
from toolkit.contamination.index import Index, Question
from toolkit.contamination.scan import find_in_rollout, find_in_task, strongest
from toolkit.errors import InputError
from toolkit.lake.predicate import parse_predicate
from toolkit.tasks.source import open_tasks

BATCH_ROWS = 2_000
EVIDENCE_HITS = 20
"""Hits of one trajectory that its evidence lists; it counts all."""
_OF_LAKE = re.compile(r"tasks\s+where\s+(.+)", re.IGNORECASE | re.DOTALL)

_TEXTS = """
SELECT t.trajectory_id, k.question, t.final_answer, s.step_index, s.thought, s.code,
       CASE WHEN s.thought IS NULL AND s.code IS NULL THEN s.completion END AS completion, s.observation
FROM (SELECT trajectory_id, task_id, final_answer FROM trajectories SEMI JOIN alive USING (trajectory_id)) t
LEFT JOIN (SELECT task_id, first(question) AS question FROM tasks GROUP BY task_id) k USING (task_id)
LEFT JOIN steps s ON s.trajectory_id = t.trajectory_id
ORDER BY t.trajectory_id, s.step_index
"""

DROPS = "SELECT trajectory_id, evidence, NULL AS nearest_kept_id FROM contaminated WHERE is_dropped"
REPORTS = "SELECT trajectory_id, evidence FROM contaminated WHERE NOT is_dropped"


def load_benchmarks(connection: duckdb.DuckDBPyConnection, against: Sequence[str]) -> list[Question]:
    """The questions of all benchmarks, in their order.

    Raises:
        InputError: a benchmark is not there, cannot be used, or holds no question; the message names it.
        QueryError: the predicate of a `tasks where …` does not fit the table.
    """
    stems = Counter(Path(spec).name for spec in against)
    questions: list[Question] = []
    for spec in against:
        # A file goes by its name: the folder that it lay in says nothing to those who read the decision.
        name = Path(spec).name if stems[Path(spec).name] == 1 else spec
        of_lake = _OF_LAKE.fullmatch(spec.strip())
        if of_lake:
            questions += _of_lake(connection, spec, of_lake[1])
        else:
            questions += questions_of(spec, name)
    return questions


def questions_of(spec: str, name: str) -> list[Question]:
    """The questions that `spec` names for `open_tasks`, as those of the benchmark `name`.

    Raises:
        InputError: it names nothing, or what it names cannot be used.
    """
    found = open_tasks(spec, require_answers=False)
    return [Question(name, task.source_id or task.task_id, task.question, tuple(task.answers)) for task in found]


def _of_lake(connection: duckdb.DuckDBPyConnection, spec: str, predicate: str) -> list[Question]:
    parse_predicate(connection, predicate, "tasks")
    relation = connection.sql(
        f"SELECT coalesce(source_id, task_id) AS id, question, answers FROM tasks WHERE (\n{predicate}\n) ORDER BY ALL"
    )
    rows = relation.to_arrow_table().to_pylist()
    if not rows:
        raise InputError(f"{spec}: no task of the lake fulfils it")
    return [Question(spec, row["id"], row["question"], tuple(row["answers"])) for row in rows]


def find_contamination(
    connection: duckdb.DuckDBPyConnection, questions: Sequence[Question], options: DecontaminateOptions
) -> list[dict[str, object]]:
    """Fill the table `contaminated` (trajectory_id, evidence, is_dropped) and count what was found.

    Returns:
        One row a benchmark, kind, match and fate: how many of its questions, in how many trajectories.
    """
    index = Index(questions, ngram=options.ngram, others=_questions(connection))
    found: list[tuple[str, str, bool]] = []
    trajectories: Counter[tuple[str, str, str, str]] = Counter()
    hit_questions: dict[tuple[str, str, str, str], set[str]] = defaultdict(set)
    for trajectory_id, hits in _scanned(connection, index, options):
        is_dropped = any(_fate(hit, options) == "drops" for hit in hits)
        found.append((trajectory_id, _evidence(hits, options), is_dropped))
        groups = set()
        for hit in hits:
            group = (hit.benchmark, hit.kind, hit.match, _fate(hit, options))
            hit_questions[group].add(hit.question_id)
            groups.add(group)
        trajectories.update(groups)
    _store(connection, found)
    return [
        dict(zip(("benchmark", "kind", "match", "fate"), group, strict=True))
        | {"questions": len(hit_questions[group]), "trajectories": trajectories[group]}
        for group in sorted(trajectories)
    ]


def _questions(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    for batch in connection.sql("SELECT DISTINCT question FROM tasks").to_arrow_reader(BATCH_ROWS):
        yield from batch.column("question").to_pylist()


def _scanned(
    connection: duckdb.DuckDBPyConnection, index: Index, options: DecontaminateOptions
) -> Iterator[tuple[str, list[Hit]]]:
    """Trajectories with a hit of a kind that was asked for."""
    asked = frozenset((*options.drop, *options.report))

    @lru_cache(maxsize=10_000)
    def in_task(question: str) -> list[Hit]:
        # Samples of one question stand in many trajectories.
        return find_in_task(index, question, jaccard=options.jaccard)

    for trajectory_id, rows in groupby(_rows(connection), key=lambda row: str(row["trajectory_id"])):
        steps = list(rows)
        question = steps[0]["question"]
        shown = _shown(steps) if "passage" in asked else ()
        rollout = find_in_rollout(index, question or "", _own(steps), shown)
        hits = [hit for hit in strongest(in_task(question) if question else [], rollout) if hit.kind in asked]
        if hits:
            yield trajectory_id, hits


def _rows(connection: duckdb.DuckDBPyConnection) -> Iterator[dict[str, Any]]:
    for batch in connection.sql(_TEXTS).to_arrow_reader(BATCH_ROWS):
        yield from batch.to_pylist()


def _own(steps: Iterable[dict[str, Any]]) -> list[Segment]:
    """What the agent wrote: thoughts and actions, what could not be parsed, the final answer."""
    places: tuple[Place, ...] = ("thought", "code", "completion")
    own, answer = [], None
    for step in steps:
        own += [Segment(place, step[place], step["step_index"]) for place in places if step[place]]
        answer = step["final_answer"]
    return [*own, Segment("final_answer", answer)] if answer else own


def _shown(steps: Iterable[dict[str, Any]]) -> list[Segment]:
    return [Segment("observation", step["observation"], step["step_index"]) for step in steps if step["observation"]]


def _fate(hit: Hit, options: DecontaminateOptions) -> Literal["drops", "reported"]:
    drops = hit.kind in options.drop and (options.drop_mentions or hit.match != "mention")
    return "drops" if drops else "reported"


def _evidence(hits: Sequence[Hit], options: DecontaminateOptions) -> str:
    # What drops first, so that a long list does not leave out why.
    fates = sorted(((_fate(hit, options), hit.as_json()) for hit in hits), key=itemgetter(0))
    listed = [{**said, "fate": fate} for fate, said in fates[:EVIDENCE_HITS]]
    return canonical_json({"hits": listed, "n_hits": len(hits)})


def _store(connection: duckdb.DuckDBPyConnection, found: Sequence[tuple[str, str, bool]]) -> None:
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE contaminated (trajectory_id VARCHAR, evidence VARCHAR, is_dropped BOOLEAN)"
    )
    names = ("trajectory_id", "evidence", "is_dropped")
    columns = {name: [row[place] for row in found] for place, name in enumerate(names)}
    schema = pa.schema({"trajectory_id": pa.string(), "evidence": pa.string(), "is_dropped": pa.bool_()})
    connection.register("found_contamination", pa.table(columns, schema=schema))
    connection.execute("INSERT INTO contaminated SELECT * FROM found_contamination")
    connection.unregister("found_contamination")
