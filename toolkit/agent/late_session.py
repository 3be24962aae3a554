"""A session that opens at its first use: what it runs first says what it should have, and most actions need little.

Invariant: whoever uses it sees what the session itself would do; that it cannot be opened shows in the first use.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from toolkit.contracts import Outcome, Sandbox, Session, Trial
from toolkit.errors import RunError


class LateSession:
    """A fresh session of `sandbox`, to be closed."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._opening: asyncio.Task[Session] | None = None

    async def run(self, code: str, trial: Trial | None = None) -> Outcome:
        """As `Session.run`.

        Raises:
            RunError: the session could not be opened.
        """
        return await (await self._session([code])).run(code, trial)

    async def resume(self) -> Outcome:
        """As `Session.resume`."""
        return await (await self._session()).resume()

    async def fork(self, n: int, codes: Iterable[str] = ()) -> list[Session]:
        """As `Session.fork`."""
        codes = list(codes)
        return await (await self._session(codes)).fork(n, codes)

    async def close(self) -> None:
        """Close the session; one that was not used, or could not be opened, has nothing to close."""
        if self._opening is None:
            return
        try:
            session = await self._session()
        except RunError:
            return
        await session.close()

    async def _session(self, codes: Iterable[str] = ()) -> Session:
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._sandbox.open(codes))
        return await asyncio.shield(self._opening)
