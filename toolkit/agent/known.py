"""What the lake already holds of a run: finished and failed rollouts, attempts, tasks, tokens spent.

Invariant: before the first request only ids and numbers are read, never texts, so that a run over a lake with many
rollouts starts at once; first thoughts come in a thread of their own, beside everything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from toolkit.agent.draft import TIMEOUT
from toolkit.agent.setup import Setup
from toolkit.dialects.chain_of_thought import first_paragraph
from toolkit.lake.lake import Lake

Retry = Literal["errors", "timeouts", "none"]
"""Which rollouts that ended in an error are tried again: all, those whose model took too long, or none."""
Ended = Literal["done", "error", "timeout"]
"""How the newest attempt of a rollout ended."""

_ATTEMPTS = f"""
SELECT attempt, CASE WHEN stop_reason <> 'error' THEN 'done'
       WHEN starts_with(error, '{TIMEOUT}') THEN 'timeout' ELSE 'error' END AS ended, string_agg(trajectory_id, ' ')
FROM raw.trajectories WHERE list_contains(?, model_id) GROUP BY ALL ORDER BY attempt, ended DESC"""
"""In this order, so that of each rollout the newest attempt comes last. The ids of each attempt in one text: as rows of
Python objects they take three times as long."""
_SPENT = """
SELECT trajectory_id, coalesce(prompt_tokens, 0), coalesce(completion_tokens, 0) FROM raw.trajectories
WHERE run_id IN (SELECT run_id FROM raw.runs WHERE identity_hash = ?) ORDER BY attempt"""
_CHAINS = """
SELECT s.trajectory_id, s.completion FROM raw.steps s JOIN raw.trajectories t USING (trajectory_id, attempt)
WHERE t.kind = 'cot' AND t.stop_reason <> 'error' AND t.model_id = ? AND s.step_index = 0"""
_ROWS = 10_000
"""Chains that are in memory whole at once."""


@dataclass(slots=True)
class Known:
    """Rows of earlier runs with the same identity."""

    attempts: dict[str, tuple[int, Ended]]
    """Newest attempt and how it ended, by trajectory_id."""
    tasks: set[str]
    """task_ids that the lake holds."""
    models: set[str]
    """model_ids that the lake holds: what training wrote of a model must not be replaced by the little a run knows."""

    def is_done(self, trajectory_id: str) -> bool:
        """Whether the rollout has ended otherwise than by an error."""
        return trajectory_id in self.attempts and self.attempts[trajectory_id][1] == "done"

    def is_left(self, trajectory_id: str, retry: Retry) -> bool:
        """Whether the rollout has ended in an error that is not to be tried again."""
        ended = self.attempts[trajectory_id][1] if trajectory_id in self.attempts else "done"
        return ended == "error" and retry != "errors" or ended == "timeout" and retry == "none"

    def next_attempt(self, trajectory_id: str) -> int:
        """Number of the attempt to run now."""
        return self.attempts[trajectory_id][0] + 1 if trajectory_id in self.attempts else 0


def load_known(lake: Lake, setup: Setup) -> Known:
    """Read what concerns the models of `setup` from the newest commit."""
    connection = lake.snapshot().connect(raw=["trajectories", "tasks", "models"])
    try:
        models = [setup.model_row.model_id]
        models += [setup.first_thoughts.model_row.model_id] if setup.first_thoughts else []
        attempts: dict[str, tuple[int, Ended]] = {}
        for attempt, ended, ids in connection.execute(_ATTEMPTS, [models]).fetchall():
            attempts |= dict.fromkeys(ids.split(), (attempt, ended))
        tasks = {row[0] for row in connection.execute("SELECT task_id FROM raw.tasks").fetchall()}
        known_models = {row[0] for row in connection.execute("SELECT model_id FROM raw.models").fetchall()}
    finally:
        connection.close()
    return Known(attempts, tasks, known_models)


def load_spent(lake: Lake, setup: Setup) -> dict[str, tuple[int, int]]:
    """Tokens read and written by runs of this identity, by trajectory_id; a retry's count includes what it replayed."""
    connection = lake.snapshot().connect(raw=["trajectories", "runs"])
    try:
        return {row[0]: (row[1], row[2]) for row in connection.execute(_SPENT, [setup.identity_hash]).fetchall()}
    finally:
        connection.close()


def load_first_thoughts(lake: Lake, chains: Setup) -> dict[str, str]:
    """First paragraphs of the chains of thought of the model of `chains`, by trajectory_id, from the newest commit."""
    found: dict[str, str] = {}
    connection = lake.snapshot().connect(raw=["trajectories", "steps"])
    try:
        rows = connection.execute(_CHAINS, [chains.model_row.model_id])
        while some := rows.fetchmany(_ROWS):
            found |= {trajectory_id: first_paragraph(text) for trajectory_id, text in some}
    finally:
        connection.close()
    return found
