"""What is small a session must not add up: ten thousand of them, and five hundred candidates at once."""

import asyncio
import gc
import tempfile
from pathlib import Path

import psutil
import pytest

from schemas import Task
from schemas.identity import derive_id
from toolkit.agent.draft import Draft, Finished
from toolkit.agent.loop import run_agent
from toolkit.agent.setup import Sag, Sampling, Setup
from toolkit.contracts import CompletionRequest
from toolkit.dialects import load_dialect
from toolkit.dialects.chain_of_thought import ChainOfThought
from toolkit.llm.scripted import ScriptedLLM
from toolkit.sandbox import Sandbox, probe

MODULES = ("math", "random")


def leftovers() -> tuple[int, int, int]:
    """Processes, descriptors and temporary files."""
    gc.collect()
    me = psutil.Process()
    return len(me.children(recursive=True)), me.num_fds(), len(list(Path(tempfile.gettempdir()).iterdir()))


@pytest.fixture
def own_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.slow
@pytest.mark.usefixtures("own_tmp")
def test_ten_thousand_sessions_leave_no_process_descriptor_or_file() -> None:
    async def main() -> list[tuple[int, int, int]]:
        async with Sandbox(modules=MODULES, workers=1) as sandbox:
            counts = []
            for number in range(10_000):
                session = await sandbox.open()
                assert (await session.run(f"x = {number}\nx + 1")).value == str(number + 1)
                if number % 100 == 0:
                    await asyncio.gather(*(fork.close() for fork in await session.fork(4)))
                await session.close()
                if number in (100, 9_999):
                    counts.append(leftovers())
            return counts

    before = leftovers()
    early, late = asyncio.run(main())
    assert early == late
    assert leftovers() == before


@pytest.mark.slow
def test_sixty_four_sag_rollouts_in_flight_do_not_disturb_each_other() -> None:
    dialect = load_dialect("codeact")

    def reply(request: CompletionRequest) -> str:
        number = int(request.messages[1].content.split()[-1])
        # Every candidate is code of its own, so that each one gets a process.
        marker = f"# {len(model.requests)}\n"
        if len(request.messages) == 2:
            return dialect.render("count", f"{marker}total = {number}\ntotal += 1\nprint(total)")
        return dialect.render("answer", f"{marker}total += 1\nfinal_answer(total)")

    model = ScriptedLLM(reply)

    async def main() -> list[Finished]:
        async with Sandbox(modules=MODULES) as sandbox:
            setup = Setup(
                model, dialect, ChainOfThought(), sandbox=sandbox, sag=Sag(8), sampling=Sampling(temperature=0.4)
            )
            drafts = [Draft(setup, _task(number), derive_id("run")) for number in range(64)]
            return await asyncio.gather(*(run_agent(draft) for draft in drafts))

    done = asyncio.run(main())
    assert [each.trajectory.final_answer for each in done] == [str(number + 2) for number in range(64)]
    votes = [row.votes for each in done for row in each.candidates]
    assert votes == [8] * (64 * 2 * 8)
    assert probe().level >= 2  # below, forks would be replays


def _task(number: int) -> Task:
    return Task(
        task_id=derive_id("task", number), dataset="d", question=f"Count from {number}", answers=[], domain="math"
    )
