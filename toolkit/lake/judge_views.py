"""What judges said, as columns: what `where` and `mask_steps` of a recipe can name.

    where: "correct or judge_factual"
    where: "judge_rating >= 0.75 and coalesce(judge_wrong_steps, 0) = 0"
    mask_steps: "judge_step = false"

Of a trajectory (view `trajectories_scored`): `judge_factual`, whether its answer says what a gold answer says;
`judge_rollout`, whether it is worth learning from, and `judge_rating`, how much, from 0 to 1; `judge_wrong_steps`, how
many of its steps are wrong. Of a step (view `steps_scored`): `judge_step`. Invariant: of several judges the newest
word counts, whichever model and rubric it is of; null is what none has judged, or was unsure of (a count of wrong
steps counts those that are judged wrong).
"""

from __future__ import annotations


def _is(rubric: str) -> str:
    return f"starts_with(scorer, 'judge.{rubric}.')"


_STEPS = f"""
SELECT trajectory_id, step_index, arg_max_null(passed, scored_at) AS judge_step
FROM scores WHERE step_index IS NOT NULL AND {_is("step")} GROUP BY trajectory_id, step_index
"""
"""One row a step that was judged."""

_TRAJECTORIES = f"""
SELECT trajectory_id,
       arg_max_null(passed, scored_at) FILTER ({_is("factual")}) AS judge_factual,
       arg_max_null(passed, scored_at) FILTER ({_is("rollout")}) AS judge_rollout,
       arg_max_null(value, scored_at) FILTER ({_is("rollout")}) AS judge_rating,
       first(wrong_steps) AS judge_wrong_steps
FROM scores LEFT JOIN (
    SELECT trajectory_id, CAST(count(*) FILTER (NOT judge_step) AS INTEGER) AS wrong_steps
    FROM ({_STEPS}) GROUP BY trajectory_id
) USING (trajectory_id)
WHERE starts_with(scorer, 'judge.') GROUP BY trajectory_id
"""
"""One row a trajectory that was judged."""


def trajectories_judged(query: str) -> str:
    """The trajectories of `query` with what judges said of them."""
    # One row a key by GROUP BY, so that DuckDB leaves out the join where no column of it is used.
    return f"SELECT * FROM ({query}) LEFT JOIN ({_TRAJECTORIES}) USING (trajectory_id)"


def steps_judged(query: str) -> str:
    """The steps of `query` with what judges said of them."""
    return f"SELECT * FROM ({query}) LEFT JOIN ({_STEPS}) USING (trajectory_id, step_index)"
