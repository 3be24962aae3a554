"""`toolkit agreement`: where judges, graders and people say different things about the same thing.

Three tables: what each voice says, how far each two of them agree, and the rows on which they are most divided, to look
at. Invariant: only units on which at least two voices have a clear word are compared; `unsure` is no word. Voices need
not ask the same question: a grader that passes and a judge of rollouts that fails is a right answer by a wrong way.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

import duckdb
from cyclopts import Parameter

from toolkit.cli.option_checks import check_counts
from toolkit.cli.options import DEFAULT_LAKE, AsJson, At, LakePath
from toolkit.cli.output import note, print_json, print_table
from toolkit.errors import InputError
from toolkit.grading.agreement import Pair, alpha
from toolkit.lake.lake import open_lake
from toolkit.lake.literal import literal
from toolkit.lake.predicate import evaluating, parse_predicate
from toolkit.lake.selections import find_selection
from toolkit.lake.snapshot import Snapshot
from toolkit.lake.voices import VOICES

QUESTION_CHARS = 60
ID_DIGITS = 10
_OF = "if(step_index IS NULL, 'wholes', 'steps')"
_SAID = f"""
SELECT {_OF} AS of, voice, count(*) FILTER (passed) AS passed, count(*) FILTER (NOT passed) AS failed,
       count(*) FILTER (passed IS NULL) AS unsure
FROM voices GROUP BY ALL ORDER BY of DESC, voice"""
_PAIRS = f"""
SELECT {_OF} AS of, a.voice, b.voice, count(*) FILTER (a.passed AND b.passed),
       count(*) FILTER (a.passed AND NOT b.passed), count(*) FILTER (NOT a.passed AND b.passed),
       count(*) FILTER (NOT a.passed AND NOT b.passed)
FROM voices a JOIN (SELECT trajectory_id, step_index AS other_step, voice, passed FROM voices) b
     ON a.trajectory_id = b.trajectory_id AND step_index IS NOT DISTINCT FROM other_step AND a.voice < b.voice
WHERE a.passed IS NOT NULL AND b.passed IS NOT NULL GROUP BY ALL ORDER BY of DESC, a.voice, b.voice"""
_UNITS = f"""
SELECT of, pro, contra, count(*) FROM (
    SELECT {_OF} AS of, count(*) FILTER (passed) AS pro, count(*) FILTER (NOT passed) AS contra
    FROM voices GROUP BY trajectory_id, step_index, of) GROUP BY ALL"""
_DIVIDED = """
WITH divided AS (
    SELECT trajectory_id, step_index, list(voice ORDER BY voice) FILTER (passed) AS passed_by,
           list(voice ORDER BY voice) FILTER (NOT passed) AS failed_by,
           map_from_entries(list((voice, reason) ORDER BY voice) FILTER (reason IS NOT NULL)) AS reasons
    FROM voices WHERE passed IS NOT NULL GROUP BY ALL HAVING bool_or(passed) AND bool_or(NOT passed))
SELECT trajectory_id, step_index, question, final_answer, answers, passed_by, failed_by, reasons
FROM divided JOIN trajectories_scored USING (trajectory_id)
ORDER BY least(len(passed_by), len(failed_by)) / (len(passed_by) + len(failed_by)) DESC,
         list_contains(passed_by || failed_by, 'people') DESC, trajectory_id, step_index NULLS FIRST
LIMIT ?"""
"""The most divided first; those on which people have a word before the others."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far voices agree."""

    said: list[dict[str, Any]]
    """Words of each voice."""
    pairs: list[dict[str, Any]]
    """Each two voices with units in common."""
    alpha: dict[str, float | None]
    """Krippendorff's alpha over all voices: of wholes, of steps; None: undefined."""
    divided: list[dict[str, Any]]
    """The most divided units."""


def agreement(
    snapshot: Snapshot, *, where: str | None, selection: str | None, voices: tuple[str, ...], rows: int
) -> Agreement:
    """How far `voices` (beginnings of names; none: all) agree on the chosen trajectories, with `rows` to look at.

    Raises:
        InputError: there is no such selection or voice.
        QueryError: the predicate does not fit, or does not run.
    """
    connection = snapshot.connect()
    try:
        _make_voices(snapshot, connection, where, selection, voices)
        pairs = [_pair(row) for row in connection.execute(_PAIRS).fetchall()]
        units: dict[str, dict[tuple[int, ...], int]] = {}
        for of, pro, contra, count in connection.execute(_UNITS).fetchall():
            units.setdefault(of, {})[pro, contra] = count
        divided = connection.execute(_DIVIDED, [rows])
        columns = [column[0] for column in divided.description or ()]
        found = [dict(zip(columns, row, strict=True)) for row in divided.fetchall()]
        said = connection.execute(_SAID)
        names = [column[0] for column in said.description or ()]
        return Agreement(
            [dict(zip(names, row, strict=True)) for row in said.fetchall()],
            pairs,
            {of: alpha(counts) for of, counts in sorted(units.items(), reverse=True)},
            found,
        )
    finally:
        connection.close()


def _make_voices(
    snapshot: Snapshot,
    connection: duckdb.DuckDBPyConnection,
    where: str | None,
    selection: str | None,
    voices: tuple[str, ...],
) -> None:
    """The table `voices`, of the chosen trajectories and voices only."""
    parts = ["true"]
    if where is not None:
        predicate = parse_predicate(connection, where, "trajectories_scored")
        parts.append(f"trajectory_id IN (SELECT trajectory_id FROM trajectories_scored WHERE (\n{predicate.text}\n))")
    if selection is not None:
        chosen = literal(find_selection(snapshot, selection).selection_id)
        parts.append(f"trajectory_id IN (SELECT trajectory_id FROM decisions WHERE kept AND selection_id = {chosen})")
    with evaluating(where):
        connection.execute(f"CREATE TEMP TABLE voices AS SELECT * FROM ({VOICES}) WHERE {' AND '.join(parts)}")
    known = [row[0] for row in connection.execute("SELECT DISTINCT voice FROM voices ORDER BY 1").fetchall()]
    for voice in voices:
        if not any(name.startswith(voice) for name in known):
            raise InputError(
                f"nobody called {voice} has said anything here; there are {', '.join(known) or 'no voices'}"
            )
    if voices:
        wanted = " OR ".join(f"starts_with(voice, {literal(voice)})" for voice in voices)
        connection.execute(f"DELETE FROM voices WHERE NOT ({wanted})")


def _pair(row: tuple[Any, ...]) -> dict[str, Any]:
    of, first, second, *counts = row
    pair = Pair(*counts)
    return {
        "of": of,
        "first": first,
        "second": second,
        "units": pair.units,
        "agree": pair.share,
        "kappa": pair.kappa,
        **asdict(pair),
    }


def agreement_command(
    *,
    lake: LakePath = DEFAULT_LAKE,
    at: At = None,
    where: Annotated[str | None, Parameter(help="SQL over trajectories_scored; only what it is true for.")] = None,
    selection: Annotated[str | None, Parameter(help="Only what this selection keeps.")] = None,
    voice: Annotated[
        tuple[str, ...],
        Parameter(
            help="people, grader, reward or judge.…; a beginning will do; may be given several times.", negative=""
        ),
    ] = (),
    rows: Annotated[int, Parameter(help="Divided rows to print.")] = 10,
    json: AsJson = False,
) -> None:
    """Compare what judges, graders and people say, and print where they are most divided.

    Args:
        lake: Directory of the lake.
        at: Read the lake as it was after this commit.
        where: Only trajectories that this SQL predicate over trajectories_scored is true for.
        selection: Only what this selection keeps.
        voice: Only these voices; the default is all.
        rows: Divided rows to print.
        json: Print one JSON document.
    """
    check_counts(rows=rows)
    found = agreement(open_lake(lake).snapshot(at), where=where, selection=selection, voices=voice, rows=rows)
    if json:
        print_json(asdict(found))
        return
    _print(found)


def _print(found: Agreement) -> None:
    columns = ["of", "voice", "passed", "failed", "unsure"]
    print_table(columns, [[row[name] for name in columns] for row in found.said], title="what each voice says")
    if not found.pairs:
        note("no two of these have a word on the same thing; `toolkit score`, `toolkit judge` and reviews give words")
        return
    columns = ["of", "first", "second", "units", "agree", "kappa", "only_first", "only_second"]
    pairs = [[row[name] for name in columns] for row in found.pairs]
    print_table(columns, pairs, title="how far two agree; only first: passed by the first alone")
    for of, value in found.alpha.items():
        if any(row["of"] == of for row in found.pairs):
            note(f"Krippendorff's alpha over all voices, {of}: {'undefined' if value is None else f'{value:.3f}'}")
    if found.divided:
        print_table(
            ["trajectory", "step", "question", "passed_by", "failed_by"],
            [_shown(row) for row in found.divided],
            title="most divided",
        )
        note("next: toolkit show TRAJECTORY; --json has answers and reasons")


def _shown(row: dict[str, Any]) -> list[object]:
    question = " ".join(row["question"].split())
    short = question if len(question) <= QUESTION_CHARS else question[: QUESTION_CHARS - 1] + "…"
    names = [", ".join(row[side]) for side in ("passed_by", "failed_by")]
    return [row["trajectory_id"][:ID_DIGITS], row["step_index"], short, *names]
