"""What a run has done so far, for progress lines and the summary at its end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from toolkit.agent.draft import Finished


@dataclass(slots=True)
class Report:
    """Counts of one run; what earlier runs did is in `skipped` and `left` only."""

    finished: int = 0
    skipped: int = 0
    """Rollouts that the lake already held."""
    left: int = 0
    """Rollouts that the lake holds as failed and that were not to be tried again."""
    retried: int = 0
    """Of those finished, later attempts of rollouts that had failed."""
    unfinished: int = 0
    """Rollouts that were stopped on their way; the journal holds what they were answered."""
    replayed: int = 0
    """Replies that came from the journal."""
    stop_reasons: Counter[str] = field(default_factory=Counter)
    error_kinds: Counter[str] = field(default_factory=Counter)
    """Steps by error kind, those without error left out."""
    chains: int = 0
    """Chains of thought made for their first thought."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    interrupted: bool = False
    out_of_budget: str | None = None
    """Which limit was reached. None: none."""
    spent: str = ""
    """What was spent of the budget, in words; empty without budget."""
    commits: list[int] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    """Messages of rollouts that ended in an error."""

    def add(self, done: Finished) -> None:
        """Count a finished rollout, or the chain of thought of one."""
        trajectory = done.trajectory
        self.prompt_tokens += trajectory.prompt_tokens or 0
        self.completion_tokens += trajectory.completion_tokens or 0
        self.error_kinds.update(step.error_kind for step in done.steps if step.error_kind != "none")
        if trajectory.error:
            self.errors[trajectory.error] += 1

    @property
    def is_whole(self) -> bool:
        """Whether everything that was asked for has ended well by now."""
        stopped = self.interrupted or self.out_of_budget is not None or self.unfinished > 0
        return not stopped and not self.stop_reasons["error"] and not self.left
