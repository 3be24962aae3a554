"""A session that starts in the background: the first request to the model need not wait for a process.

Invariant: whoever uses it sees what the session itself would do; that it cannot be opened shows in the first use.
"""

from __future__ import annotations

import asyncio

from toolkit.contracts import Outcome, Sandbox, Session, Trial
from toolkit.errors import RunError


class LateSession:
    """A fresh session of `sandbox`; to be made inside a running event loop, and closed."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._opening = asyncio.ensure_future(sandbox.open())

    async def run(self, code: str, trial: Trial | None = None) -> Outcome:
        """As `Session.run`.

        Raises:
            RunError: the session could not be opened.
        """
        return await (await self._session()).run(code, trial)

    async def resume(self) -> Outcome:
        """As `Session.resume`."""
        return await (await self._session()).resume()

    async def fork(self, n: int) -> list[Session]:
        """As `Session.fork`."""
        return await (await self._session()).fork(n)

    async def close(self) -> None:
        """Close the session; one that could not be opened has nothing to close."""
        try:
            session = await self._session()
        except RunError:
            return
        await session.close()

    async def _session(self) -> Session:
        return await asyncio.shield(self._opening)
