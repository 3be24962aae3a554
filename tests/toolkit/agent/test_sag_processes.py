"""After a step one session is left, however the step ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import psutil
import pytest
from scripted_rollouts import CHAIN, DIALECT, LIGHT, NO_TOOLS, act

from toolkit.agent.policies import self_consistent
from toolkit.agent.setup import Sag, Setup
from toolkit.contracts import ChatMessage, CompletionRequest, Session, Tool
from toolkit.errors import ModelError
from toolkit.llm.scripted import ScriptedLLM
from toolkit.sandbox import ProcessSandbox

ASKED = CompletionRequest((ChatMessage("user", "How much?"),))
Step = Callable[[Setup, Session], Awaitable[None]]


def processes() -> int:
    return len(psutil.Process().children(recursive=True))


def with_session(codes: list[str], n: int, use: Step, tools: dict[str, Tool] = NO_TOOLS) -> tuple[int, int]:
    """Processes before and after `use` takes a step among candidates with these codes."""

    async def main() -> tuple[int, int]:
        async with ProcessSandbox(tools, modules=LIGHT) as sandbox:
            session = await sandbox.open()
            await session.run("x = 1")
            before = processes()
            setup = Setup(ScriptedLLM([act(code) for code in codes]), DIALECT, CHAIN, sag=Sag(n), sandbox=sandbox)
            await use(setup, session)
            return before, processes()

    return asyncio.run(main())


def test_losers_and_the_session_before_are_ended() -> None:
    async def use(setup: Setup, session: Session) -> None:
        taken = await self_consistent(setup, session, ASKED)
        assert taken.session is not session
        assert (await taken.session.run("x")).value == "1"

    before, after = with_session(["print(1)", "print(2)", "1 / 0"], 3, use)
    assert after == before


def test_a_cancelled_step_ends_all_its_forks() -> None:
    waiting = asyncio.Semaphore(0)

    async def wait(number: int) -> None:
        waiting.release()
        await asyncio.Event().wait()

    async def use(setup: Setup, session: Session) -> None:
        step = asyncio.create_task(self_consistent(setup, session, ASKED))
        for _ in range(2):
            await waiting.acquire()
        await asyncio.sleep(0.05)  # the one that does not wait has ended by then, and stands idle
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step
        assert (await session.run("x")).value == "1"

    tools = {"wait": Tool("wait", "wait(number: int)", "Wait.", wait)}
    before, after = with_session(["print(1)", "wait(2)", "wait(3)"], 3, use, tools)
    assert after == before


def test_a_model_without_answer_leaves_the_session_as_it_was() -> None:
    async def use(setup: Setup, session: Session) -> None:
        with pytest.raises(ModelError):
            await self_consistent(setup, session, ASKED)
        assert (await session.run("x")).value == "1"

    before, after = with_session(["print(1)"], 3, use)
    assert after == before
