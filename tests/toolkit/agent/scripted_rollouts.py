"""Rollouts of a scripted model in a real sandbox, for tests of loop and policies."""

from __future__ import annotations

import asyncio

from schemas import Task
from schemas.identity import derive_id
from toolkit.agent.draft import Draft, Finished, FirstThought
from toolkit.agent.loop import OnStep, run_agent, unseen
from toolkit.agent.setup import Sag, Setup
from toolkit.contracts import Tool
from toolkit.dialects import load_dialect
from toolkit.dialects.chain_of_thought import ChainOfThought
from toolkit.llm.scripted import Script, ScriptedLLM
from toolkit.sandbox import ProcessSandbox

DIALECT, CHAIN = load_dialect("codeact"), ChainOfThought()
TASK = Task(task_id=derive_id("task", "t"), dataset="d", question="How much is it?", answers=["42"], domain="math")
NO_TOOLS: dict[str, Tool] = {}
LIGHT = ("itertools", "math", "random", "time")
"""What the actions of these tests import; numpy and sympy would only make them start later."""


def act(code: str, thought: str | None = "now") -> str:
    return DIALECT.render(thought, code)


def rollout(
    script: Script,
    *,
    tools: dict[str, Tool] = NO_TOOLS,
    max_steps: int = 5,
    sag: Sag | None = None,
    thought: str | None = None,
    on_step: OnStep = unseen,
) -> tuple[Finished, ScriptedLLM]:
    async def run() -> tuple[Finished, ScriptedLLM]:
        llm = ScriptedLLM(script)
        async with ProcessSandbox(tools, modules=LIGHT) as sandbox:
            setup = Setup(llm, DIALECT, CHAIN, sag=sag, max_steps=max_steps, tools=tools, sandbox=sandbox)
            first = FirstThought(thought, derive_id("cot")) if thought else None
            draft = Draft(setup, TASK, derive_id("run"), first_thought=first)
            return await run_agent(draft, on_step=on_step), llm

    return asyncio.run(run())
