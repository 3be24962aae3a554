import asyncio
import json

import pytest

from schemas import ToolCall
from schemas.rollouts import Trajectory
from toolkit.contracts import Tool
from toolkit.dialects.recorded_tools import tools_json
from toolkit.lake.records import TrajectoryRecord
from toolkit.replay.recorded_tools import RecordedTools

ID = "a" * 24


def record(
    *calls: tuple[int, str, dict[str, object], object], prompt: str | None = None, tools: str | None = None
) -> TrajectoryRecord:
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
    return TrajectoryRecord(Trajectory.model_construct(trajectory_id=ID), None, [], rows, prompt, tools)


def begin(recorded: TrajectoryRecord, live: dict[str, Tool] | None = None, step: int | None = None) -> RecordedTools:
    tools = RecordedTools([recorded], live or {})
    tools.begin(recorded)
    if step is None:
        tools.freely()
    else:
        tools.as_recorded(step)
    return tools


def ask(tools: RecordedTools, name: str, *args: object, **kwargs: object) -> object:
    async def call() -> object:
        return await tools.tools[name].call(*args, **kwargs)

    return asyncio.run(call())


def test_equal_calls_of_a_step_get_their_results_in_order() -> None:
    tools = begin(record((0, "dice", {}, 4), (0, "dice", {}, 6), (1, "dice", {}, 1)), step=0)
    assert [ask(tools, "dice"), ask(tools, "dice")] == [4, 6]
    with pytest.raises(Exception, match="dice is not here"):
        ask(tools, "dice")
    assert tools.unanswered == ("dice",)
    tools.as_recorded(1)
    assert (ask(tools, "dice"), tools.unanswered) == (1, ())


def test_a_failure_that_was_recorded_is_raised_again_by_its_name() -> None:
    tools = begin(record((0, "look", {"what": "x"}, ValueError("nothing there"))))
    with pytest.raises(Exception, match="nothing there") as caught:
        ask(tools, "look", "x")
    assert type(caught.value).__name__ == "ValueError"


def test_trajectories_that_run_at_once_get_their_own_results() -> None:
    records = [record((0, "dice", {}, number)) for number in range(20)]
    tools = RecordedTools(records, {})

    async def one(recorded: TrajectoryRecord) -> object:
        tools.begin(recorded)
        tools.as_recorded(0)
        await asyncio.sleep(0)
        return await tools.tools["dice"].call()

    async def every() -> list[object]:
        return list(await asyncio.gather(*(one(recorded) for recorded in records)))

    assert asyncio.run(every()) == list(range(20))


def test_a_tool_is_called_as_the_recorded_definitions_say() -> None:
    async def never(**arguments: object) -> object:
        raise AssertionError

    known = [Tool("route", "route(to: str, /, *stops: str, by: str = 'car') -> int", "A way.", never)]
    recorded = record((0, "route", {"to": "B", "stops": ["C"], "by": "bus"}, 7), tools=tools_json(known))
    tools = begin(recorded)
    made = tools.tools["route"]
    assert (made.signature, made.description) == (known[0].signature, "A way.")
    assert ask(tools, "route", "B", "C", by="bus") == 7
    with pytest.raises(TypeError, match="missing a required"):
        ask(tools, "route", by="bus")
    with pytest.raises(TypeError, match="unexpected keyword"):
        ask(tools, "route", "B", where="there")


@pytest.mark.parametrize("signature", ["look(what, what)", "look(", "look(x): pass\nprint", "look", "look(a=1, b)"])
def test_a_signature_that_is_none_of_python_takes_any_arguments(signature: str) -> None:
    async def never(**arguments: object) -> object:
        raise AssertionError

    recorded = record((0, "look", {"args": ["x"]}, 7), tools=tools_json([Tool("look", signature, "", never)]))
    assert ask(begin(recorded), "look", "x") == 7


def test_places_of_arguments_are_those_that_the_prompt_shows() -> None:
    tools = begin(record((0, "route", {"a": "A", "to": "B"}, 7), prompt="- route(to: str, a: str = 'x') -> int: a way"))
    assert ask(tools, "route", "B", "A") == 7
    with pytest.raises(Exception, match="this call was not recorded"):
        ask(tools, "route", "A", "B")


def test_without_a_prompt_places_are_not_guessed() -> None:
    tools = begin(record((0, "route", {"a": "A", "to": "B"}, 7)))
    assert ask(tools, "route", to="B", a="A") == 7
    with pytest.raises(TypeError, match="positional"):
        ask(tools, "route", "A", "B")


def test_a_live_tool_is_asked_only_when_a_step_runs_freely_and_never_if_it_writes() -> None:
    async def call(what: str) -> object:
        return f"live {what}"

    live = {
        "look": Tool("look", "look(what)", "", call),
        "publish": Tool("publish", "publish(what)", "", call, "write"),
    }
    recorded = record((0, "look", {"what": "x"}, "then"))
    assert ask(begin(recorded, live), "look", "y") == "live y"
    assert ask(begin(recorded, live), "look", "x") == "then"
    with pytest.raises(Exception, match="publish is a tool that writes"):
        ask(begin(recorded, live), "publish", "x")
    with pytest.raises(Exception, match="asked by steps that run freely only"):
        ask(begin(recorded, live, step=1), "look", "y")


def test_names_that_no_code_can_call_are_left_out() -> None:
    recorded = record((0, "final_answer", {}, 1), (0, "print", {}, 1), (0, "web-search", {}, 1), (0, "class", {}, 1))
    assert RecordedTools([recorded], {}, ["len", "import", "__builtins__", "other"]).tools.keys() == {"other"}
