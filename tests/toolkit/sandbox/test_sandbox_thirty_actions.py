"""The thirty actions that the benchmark times are answered rightly, in one session and in a fork of it."""

import asyncio

import pytest

from bench.actions import ACTIONS
from toolkit.contracts import Outcome
from toolkit.sandbox import Sandbox

pytest.importorskip("numpy", reason="numpy is not installed")
pytest.importorskip("sympy", reason="sympy is not installed")


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    async def main() -> list[Outcome]:
        async with Sandbox() as sandbox:
            session = await sandbox.open()
            return [await session.run(action.code) for action in ACTIONS]

    return asyncio.run(main())


@pytest.mark.parametrize(("number", "name"), [(number, action.name) for number, action in enumerate(ACTIONS)])
def test_an_action_prints_what_plain_python_prints(outcomes: list[Outcome], number: int, name: str) -> None:
    assert (outcomes[number].stdout, outcomes[number].error) == (ACTIONS[number].prints, None), name


def test_there_are_thirty_actions() -> None:
    assert len({action.name for action in ACTIONS}) == 30
