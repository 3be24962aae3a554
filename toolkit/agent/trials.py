"""Several actions tried in forks of one session, of which one wins and the others never were.

Equal actions are tried once. Reads are shared among the forks; a call of a `write` tool waits
until its action has won. A single action runs in the session itself, for good, unless it may
lose to a completion that says no action: where all fail, the first one wins.
Invariant: whatever happens on the way, cancellation included, at most the session to go on in
is left open, and the caller's own on an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from toolkit.contracts import Outcome, Session, Trial


@dataclass(slots=True)
class Trials:
    """Actions that were tried."""

    outcomes: dict[str, Outcome]
    """What each action came to, by its code."""
    _session: Session
    _forks: dict[str, Session]
    """Empty: there was one action at most, and it ran in the session itself."""

    async def win(self, code: str | None) -> Session:
        """Let the action `code` win, or with None no action; the session to go on in, all others are closed.

        An action that was held goes on first, and `outcomes` then holds what became of it.
        """
        winner = self._session if code is None else self._forks.pop(code, self._session)
        await _close(session for session in (self._session, *self._forks.values()) if session is not winner)
        if code is not None and self.outcomes[code].held is not None:
            self.outcomes[code] = await winner.resume()
        return winner


@asynccontextmanager
async def tried(session: Session, codes: Sequence[str | None]) -> AsyncIterator[Trials]:
    """Try the different ones of `codes`, all at once; `Trials.win` is to be called inside. None says no action."""
    distinct = list(dict.fromkeys(code for code in codes if code is not None))
    if not distinct or distinct == [codes[0]]:
        yield Trials({code: await session.run(code) for code in distinct}, session, {})
        return
    trial, forks = Trial(), await session.fork(len(distinct))
    try:
        outcomes = await asyncio.gather(*(fork.run(code, trial) for fork, code in zip(forks, distinct, strict=True)))
        yield Trials(dict(zip(distinct, outcomes, strict=True)), session, dict(zip(distinct, forks, strict=True)))
    except BaseException:
        await _close(forks)
        raise


async def _close(sessions: Iterable[Session]) -> None:
    """Close all of them at once; if this is cancelled, they are closed all the same."""
    closing = [asyncio.create_task(session.close()) for session in sessions]
    if closing:
        # Unlike gather, wait does not cancel what it waits for.
        await asyncio.wait(closing)
    for closed in closing:
        closed.result()
