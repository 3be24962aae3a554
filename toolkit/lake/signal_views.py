"""Process signals and replay as columns: what `where` and `mask_steps` of a recipe can name.

    where: "not hard_coded and repeated_calls = 0 and grounded is not false"
    mask_steps: "loops or idle_code"

Of a trajectory (view `trajectories_scored`), from the scores about the whole: counts of faults as numbers;
`hard_coded`, `grounded`, `replay_matches` as truth values; the ratios as numbers. Of a step (view `steps_scored`, which
has all columns of `steps`): whether it was faulted, whether its error was
`recovered`, whether the answer it gives is `grounded`, whether its `replay_matches`.

Invariant: what was never scored is null, in every column. What was scored and found not applicable has no fault (0,
false), so that a recipe over code does not drop texts without code; `grounded`, the ratios and `replay_matches`, which
claim something good, are null there, and where they are undecided. Of several versions of a signal the newest counts.
"""

from __future__ import annotations

COUNTED = ("unrecovered_errors", "repeated_calls", "unused_retrieval", "idle_code", "thought_mismatch", "loops")
"""Signals whose value is a number of faults."""
STEP_FAULTS = (*COUNTED[1:], "hard_coded")
"""Signals that fault single steps; a step without a row has no fault."""
RATIOS = ("steps_ratio", "tokens_ratio")
"""Signals whose value is a measure."""
EVERY = (*COUNTED, "hard_coded", "grounded", *RATIOS, "replay")
"""All, as they are named in `scorer` before the @."""
SIGNAL_OF = {name: name for name in EVERY[:-1]} | {"recovered": "unrecovered_errors", "replay_matches": "replay"}
"""The signal that a column comes from."""

_NAMED = ", ".join(f"'{name}'" for name in EVERY)
_OF_SIGNALS = f"split_part(scorer, '@', 1) IN ({_NAMED})"


def _is(name: str) -> str:
    return f"FILTER (starts_with(scorer, '{name}@'))"


def _newest(column: str, name: str) -> str:
    return f"arg_max_null({column}, scored_at) {_is(name)}"


_COUNTS = ",\n".join(
    f"CASE WHEN count(*) {_is(name)} > 0 THEN CAST(coalesce({_newest('value', name)}, 0) AS INTEGER) END AS {name}"
    for name in COUNTED
)
BY_TRAJECTORY = f"""
SELECT trajectory_id, {_COUNTS},
       CASE WHEN count(*) {_is("hard_coded")} > 0 THEN NOT coalesce({_newest("passed", "hard_coded")}, true) END
           AS hard_coded,
       {_newest("passed", "grounded")} AS grounded,
       {", ".join(f"{_newest('value', name)} AS {name}" for name in RATIOS)},
       {_newest("passed", "replay")} AS replay_matches
FROM scores WHERE step_index IS NULL AND {_OF_SIGNALS} GROUP BY trajectory_id
"""
"""One row a trajectory that has any signal."""
TRAJECTORY_COLUMNS = (*COUNTED, "hard_coded", "grounded", *RATIOS, "replay_matches")

_SCORED = ", ".join(f"max(scorer) {_is(name)} AS by_{name}" for name in STEP_FAULTS)
_FAULTS = ", ".join(
    f"CASE WHEN by_{name} IS NOT NULL THEN coalesce(NOT passed_{name}, false) END AS {name}" for name in STEP_FAULTS
)
_PASSED = ", ".join(f"{_newest('passed', name)} AS passed_{name}" for name in STEP_FAULTS)
STEPS_WITH_SIGNALS = f"""
WITH newest AS (
    SELECT trajectory_id, arg_max(scorer, scored_at) AS scorer FROM scores
    WHERE step_index IS NULL AND {_OF_SIGNALS} GROUP BY trajectory_id, split_part(scorer, '@', 1)
), scored AS (SELECT trajectory_id, {_SCORED} FROM newest GROUP BY trajectory_id
), found AS (
    SELECT trajectory_id, step_index, {_PASSED},
           {_newest("passed", "unrecovered_errors")} AS recovered, {_newest("passed", "grounded")} AS grounded,
           {_newest("passed", "replay")} AS replay_matches
    FROM scores SEMI JOIN newest USING (trajectory_id, scorer) WHERE step_index IS NOT NULL GROUP BY ALL
)
SELECT s.*, {_FAULTS}, recovered, grounded, replay_matches
FROM steps s LEFT JOIN scored USING (trajectory_id) LEFT JOIN found USING (trajectory_id, step_index)
"""
"""Steps with what the newest version of each signal says of them."""


def unscored_query(signal: str, rows: str) -> str:
    """SELECT of how many of `rows` (a table with trajectory_id) were never scored for `signal`."""
    scored = f"SELECT trajectory_id FROM scores WHERE step_index IS NULL AND starts_with(scorer, '{signal}@')"
    return f"SELECT count(*) FROM {rows} ANTI JOIN ({scored}) USING (trajectory_id)"


_WHOLE = "step_index IS NULL"
SUMMARY = f"""
SELECT split_part(scorer, '@', 1) AS signal, count(*) FILTER ({_WHOLE}) AS trajectories,
       count(*) FILTER ({_WHOLE} AND passed) AS passed, count(*) FILTER ({_WHOLE} AND NOT passed) AS faulted,
       count(*) FILTER ({_WHOLE} AND passed IS NULL AND details LIKE '%"undecided":%') AS undecided,
       count(*) FILTER ({_WHOLE} AND passed IS NULL AND details LIKE '%"not_applicable":%') AS not_applicable,
       count(*) FILTER (NOT {_WHOLE} AND NOT passed) AS faulted_steps, avg(value) FILTER ({_WHOLE}) AS mean_value
FROM scores {{chosen}} WHERE {_OF_SIGNALS} GROUP BY signal ORDER BY list_position([{_NAMED}], signal)
"""
"""How the signals went; `chosen` may be a SEMI JOIN."""
