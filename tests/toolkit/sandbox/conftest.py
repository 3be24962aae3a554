"""One sandbox for all tests that only run actions; each `play` gets a session of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from toolkit.sandbox import Outcome, Sandbox

Play = Callable[..., list[Outcome]]


async def shout(text: str) -> str:
    """The text in capitals."""
    return text.upper()


def echo(value: object, times: int = 1) -> object:
    """The value as it arrived, or a list of it."""
    return value if times == 1 else [value] * times


@pytest.fixture(scope="session")
def play() -> Iterator[Play]:
    with asyncio.Runner() as runner:
        sandbox = Sandbox({"shout": shout, "echo": echo})
        runner.run(sandbox.__aenter__())

        async def perform(codes: tuple[str, ...]) -> list[Outcome]:
            session = await sandbox.open()
            outcomes = [await session.run(code) for code in codes]
            await session.close()
            return outcomes

        yield lambda *codes: runner.run(perform(codes))
        runner.run(sandbox.__aexit__())
