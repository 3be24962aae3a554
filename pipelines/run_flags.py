"""Options of commands that run many rollouts: how many at once, which again, and what they may cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from toolkit.agent.budget import Budget, Prices
from toolkit.agent.known import Retry
from toolkit.cli.option_checks import check_amounts, check_counts
from toolkit.errors import InputError


def check_spending(in_flight: int, budget: Budget) -> None:
    """Refuse to ask for nothing at once, and limits that are reached before anything is asked.

    Raises:
        InputError: naming the option.
    """
    check_counts(in_flight=in_flight, max_tokens=budget.max_tokens)
    check_amounts(above=True, max_cost=budget.max_cost_usd, max_hours=budget.max_hours)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class SpendFlags:
    """How much is asked at once, and what may be spent; nothing of it enters ids."""

    in_flight: Annotated[int, Parameter(help="Rollouts, or what else is asked for, in flight at once.")] = 32
    max_cost: Annotated[
        float | None, Parameter(help="Most US dollars of all calls of this identity in this lake; needs the prices.")
    ] = None
    max_tokens: Annotated[
        int | None, Parameter(help="Most tokens, read and written, of all calls of this identity in this lake.")
    ] = None
    max_hours: Annotated[float | None, Parameter(help="Most hours of this call.")] = None
    price_in: Annotated[
        float | None, Parameter(help="US dollars for a million tokens read; both prices fill cost_usd.")
    ] = None
    price_out: Annotated[float | None, Parameter(help="US dollars for a million tokens written.")] = None

    def check(self) -> None:
        """Refuse numbers that are too small.

        Raises:
            InputError: naming the option.
        """
        check_spending(self.in_flight, self.budget)
        check_amounts(above=False, price_in=self.price_in, price_out=self.price_out)

    @property
    def budget(self) -> Budget:
        """What may be spent."""
        return Budget(self.max_cost, self.max_tokens, self.max_hours)

    @property
    def prices(self) -> Prices | None:
        """None: not known, and not needed.

        Raises:
            InputError: one is missing, or both are and a limit needs them.
        """
        if self.price_in is None and self.price_out is None and self.max_cost is None:
            return None
        if self.price_in is None or self.price_out is None:
            raise InputError(
                "--max-cost and the column cost_usd need both prices: --price-in and --price-out, USD a million"
            )
        return Prices(self.price_in, self.price_out)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class RunFlags(SpendFlags):
    """How rollouts are run and paid for."""

    retry: Annotated[Retry, Parameter(help="Which failed rollouts to try again: errors, timeouts or none.")] = "errors"
    shard: Annotated[
        str, Parameter(help="Only part i of n of the questions, as i/n, for several processes on one lake.")
    ] = "1/1"


AT_ONCE = RunFlags()
USUAL_SPENDING = SpendFlags()
