"""How much a run may spend, and what was spent: dollars, tokens, hours.

Invariant: once a limit is reached nothing more is asked of a model. Replies on their way by then still come in and
are recorded, so a run may go over by what was in flight. Money and tokens count from the first call under this
identity, whichever process made it and whether or not its rollout has ended; hours count from this start.
Not covered: what other shards spend after this one began.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from toolkit.errors import RunError

_MILLION = 1_000_000


class BudgetError(Exception):
    """Nothing more may be asked; not a failure of the rollout, which goes on when there is more to spend."""


@dataclass(frozen=True, slots=True)
class Prices:
    """What a model's tokens cost, in US dollars a million."""

    read_usd: float
    written_usd: float

    def cost_usd(self, read: int, written: int) -> float:
        """Cost of so many tokens."""
        return (read * self.read_usd + written * self.written_usd) / _MILLION


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits; None: there is none."""

    max_cost_usd: float | None = None
    max_tokens: int | None = None
    """Read and written together."""
    max_hours: float | None = None


class Meter:
    """Counts what is spent against a budget."""

    def __init__(self, budget: Budget | None = None, prices: Prices | None = None) -> None:
        self.budget, self.prices = budget or Budget(), prices
        self.read = self.written = 0
        """Tokens, under this identity."""
        self._started = time.monotonic()

    @property
    def counts(self) -> bool:
        """Whether there is a limit on tokens or money."""
        return self.budget.max_tokens is not None or self.budget.max_cost_usd is not None

    @property
    def cost_usd(self) -> float | None:
        """What they cost. None: prices are not known."""
        return self.prices.cost_usd(self.read, self.written) if self.prices else None

    def check(self) -> None:
        """See that more may be asked.

        Raises:
            BudgetError: a limit is reached; the message says which.
        """
        budget, hours = self.budget, (time.monotonic() - self._started) / 3600
        if budget.max_tokens is not None and self.read + self.written >= budget.max_tokens:
            raise BudgetError(f"{self.read + self.written:,} tokens are spent, --max-tokens is {budget.max_tokens:,}")
        if budget.max_cost_usd is not None and (cost := self.cost_usd or 0.0) >= budget.max_cost_usd:
            raise BudgetError(f"{cost:,.2f} USD are spent, --max-cost is {budget.max_cost_usd:,.2f}")
        if budget.max_hours is not None and hours >= budget.max_hours:
            raise BudgetError(f"{hours:.2f} hours have passed, --max-hours is {budget.max_hours:g}")

    def add(self, read: int | None, written: int | None) -> None:
        """Count a reply.

        Raises:
            RunError: the server does not count tokens, and there is a limit on them.
        """
        if self.counts and (read is None or written is None):
            raise RunError(
                "the server does not say how many tokens a reply took, so --max-cost and --max-tokens cannot be kept; "
                "leave them out, or use --max-hours"
            )
        self.read += read or 0
        self.written += written or 0

    def words(self) -> str:
        """What was spent of what may be, in words; empty if there is no limit on it."""
        budget, words = self.budget, []
        if budget.max_cost_usd is not None:
            words.append(f"{self.cost_usd or 0.0:,.2f} of {budget.max_cost_usd:,.2f} USD")
        if budget.max_tokens is not None:
            words.append(f"{self.read + self.written:,} of {budget.max_tokens:,} tokens")
        return ", ".join(words)
