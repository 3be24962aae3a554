import asyncio
import json

import pytest

from pipelines.review.recorded_tools import RecordedTools
from schemas import ToolCall
from schemas.rollouts import Trajectory
from toolkit.lake.records import TrajectoryRecord

ID = "a" * 24


def record(*calls: tuple[int, str, dict[str, object], object], prompt: str | None = None) -> TrajectoryRecord:
    """A trajectory that made these calls: step, name, arguments, result (an exception: it failed)."""
    rows = [
        ToolCall(
            trajectory_id=ID,
            step_index=step,
            ordinal=ordinal,
            name=name,
            arguments=json.dumps(arguments),
            result=None if isinstance(result, Exception) else json.dumps(result),
            error=f"{type(result).__name__}: {result}" if isinstance(result, Exception) else None,
        )
        for ordinal, (step, name, arguments, result) in enumerate(calls)
    ]
    return TrajectoryRecord(Trajectory.model_construct(trajectory_id=ID), None, [], rows, prompt)


def ask(tools: RecordedTools, name: str, *args: object, **kwargs: object) -> object:
    async def call() -> object:
        return await tools.tools[name].call(*args, **kwargs)

    return asyncio.run(call())


def test_equal_calls_before_the_edit_get_their_results_in_order() -> None:
    recorded = record((0, "dice", {}, 4), (0, "dice", {}, 6), (1, "dice", {}, 1))
    tools = RecordedTools([recorded], {})
    tools.begin(recorded)
    tools.before_edit(0)
    assert [ask(tools, "dice"), ask(tools, "dice")] == [4, 6]
    with pytest.raises(Exception, match="dice is not here"):
        ask(tools, "dice")
    tools.before_edit(1)
    assert ask(tools, "dice") == 1


def test_a_failure_that_was_recorded_is_raised_again_by_its_name() -> None:
    recorded = record((0, "look", {"what": "x"}, ValueError("nothing there")))
    tools = RecordedTools([recorded], {})
    tools.begin(recorded)
    with pytest.raises(Exception, match="nothing there") as caught:
        ask(tools, "look", "x")
    assert type(caught.value).__name__ == "ValueError"


def test_places_of_arguments_are_those_that_the_prompt_shows() -> None:
    recorded = record((0, "route", {"a": "A", "to": "B"}, 7), prompt="- route(to: str, a: str = 'x') -> int: a way")
    tools = RecordedTools([recorded], {})
    tools.begin(recorded)
    assert ask(tools, "route", "B", "A") == 7
    with pytest.raises(Exception, match="this call was not recorded"):
        ask(tools, "route", "A", "B")


def test_without_a_prompt_places_are_not_guessed() -> None:
    recorded = record((0, "route", {"a": "A", "to": "B"}, 7))
    tools = RecordedTools([recorded], {})
    tools.begin(recorded)
    assert ask(tools, "route", to="B", a="A") == 7
    with pytest.raises(TypeError, match="positional"):
        ask(tools, "route", "A", "B")


def test_names_that_no_code_can_call_are_left_out() -> None:
    recorded = record((0, "final_answer", {}, 1), (0, "print", {}, 1), (0, "web-search", {}, 1), (0, "class", {}, 1))
    assert RecordedTools([recorded], {}).tools == {}
