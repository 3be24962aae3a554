"""What the lake already holds of a run: finished rollouts, attempts, chains of thought, tasks."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.agent.setup import Setup
from toolkit.lake.lake import Lake


@dataclass(slots=True)
class Known:
    """Rows of earlier runs with the same identity."""

    attempts: dict[str, tuple[int, str]]
    """Newest attempt and its stop reason by trajectory_id."""
    chains: dict[str, str]
    """Text of the chains of thought that first thoughts may be taken from, by trajectory_id."""
    tasks: set[str]
    """task_ids that the lake holds."""

    def is_done(self, trajectory_id: str) -> bool:
        """Whether the rollout has ended otherwise than by an error."""
        return trajectory_id in self.attempts and self.attempts[trajectory_id][1] != "error"

    def next_attempt(self, trajectory_id: str) -> int:
        """Number of the attempt to run now."""
        return self.attempts[trajectory_id][0] + 1 if trajectory_id in self.attempts else 0


def load_known(lake: Lake, setup: Setup) -> Known:
    """Read what concerns the models of `setup` from the newest commit."""
    connection = lake.snapshot().connect()
    try:
        models = [setup.model_row.model_id]
        models += [setup.first_thoughts.model_row.model_id] if setup.first_thoughts else []
        query = "SELECT trajectory_id, attempt, stop_reason FROM trajectories WHERE list_contains(?, model_id)"
        attempts = {row[0]: (row[1], row[2]) for row in connection.execute(query, [models]).fetchall()}
        chains: dict[str, str] = {}
        if setup.first_thoughts:
            query = """
                SELECT s.trajectory_id, s.completion FROM steps s JOIN trajectories t USING (trajectory_id)
                WHERE t.kind = 'cot' AND t.stop_reason <> 'error' AND t.model_id = ?"""
            chains = dict(connection.execute(query, [setup.first_thoughts.model_row.model_id]).fetchall())
        tasks = {row[0] for row in connection.execute("SELECT task_id FROM tasks").fetchall()}
    finally:
        connection.close()
    return Known(attempts, chains, tasks)
