"""The views over evaluations: which runs are one evaluation, and which rollouts are its.

    SELECT name, dataset, split, avg(correct::INT) FROM evaluations JOIN evaluated USING (identity_hash) GROUP BY ALL

All runs of one identity are one evaluation: what one of them finds in the lake it does not run again. Invariant: every
figure of `toolkit compare` is a figure over `evaluated`, whose trajectory_id leads to each step.
"""

from __future__ import annotations

EVALUATIONS = """
SELECT identity_hash, any_value(identity) AS identity,
       arg_max(name, started_at) FILTER (name IS NOT NULL) AS name,
       coalesce(list(DISTINCT name) FILTER (name IS NOT NULL), []) AS names,
       list(run_id ORDER BY started_at) AS run_ids,
       min(started_at) AS started_at, max(finished_at) AS finished_at
FROM (SELECT *, settings->>'$.name' AS name FROM runs WHERE kind = 'evaluate') GROUP BY identity_hash
"""
"""One row an evaluation; `name` is the newest of its names."""

EVALUATED = """
WITH own AS (
    SELECT t.trajectory_id, t.task_id, t.sample_index, t.kind, r.identity_hash, r.identity->>'$.kind' AS run_kind
    FROM trajectories t JOIN runs r USING (run_id) WHERE r.kind = 'evaluate' AND t.role = 'student'
)
SELECT e.identity_hash, t.*, k.task_metadata
FROM (
    SELECT identity_hash, trajectory_id FROM own WHERE kind = run_kind
    UNION ALL
    SELECT other.identity_hash, own.trajectory_id FROM own JOIN evaluations other
    ON own.kind = other.identity->>'$.kind' AND own.kind <> own.run_kind
       AND own.trajectory_id = substr(sha256(concat('["rollout","', other.identity_hash, '","', own.task_id, '",',
                                                    own.sample_index, ']')), 1, 24)
) e
JOIN trajectories_scored t USING (trajectory_id)
LEFT JOIN (SELECT task_id, first(metadata) AS task_metadata FROM tasks GROUP BY task_id) k USING (task_id)
"""
"""One row a rollout of an evaluation, as in `trajectories_scored`, with the question's `task_metadata`.

A chain of thought that an agent's first thought was taken from was made by the agent's run, but belongs to the
evaluation of chains whose id it has, if there is one: hence the second half."""
