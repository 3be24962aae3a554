import asyncio
import inspect
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from schemas.identity import derive_id
from toolkit.agent.budget import Budget, BudgetError, Meter, Prices
from toolkit.agent.recorder import LOST, RecordedLLM, Recorder, recorded_tool, recording
from toolkit.contracts import ChatMessage, Completion, CompletionRequest, Tool
from toolkit.errors import RunError
from toolkit.lake.journal import Journal
from toolkit.llm.scripted import ScriptedLLM
from toolkit.sandbox import ProcessSandbox, Trial

ID = derive_id("trajectory", "one")
ASKED = CompletionRequest((ChatMessage("user", "Hello?"),), seed=3)
Use = Callable[[Recorder], Coroutine[Any, Any, Any]]


def rollout(path: Path, use: Use, meter: Meter | None = None) -> tuple[Any, Recorder]:
    """One start of a process: `use` the recorder over what the journal holds."""

    async def run() -> tuple[Any, Recorder]:
        with closing(Journal(path)) as journal:
            recorder = Recorder(ID, 0, journal, journal.entries(), meter)
            with recording(recorder):
                return await use(recorder), recorder

    return asyncio.run(run())


def llm(replies: list[str]) -> tuple[ScriptedLLM, RecordedLLM]:
    script = ScriptedLLM(lambda request: replies.pop(0), name="model")
    return script, RecordedLLM(script)


def tool(call: Callable[..., Any], effect: Any = "read") -> Tool:
    return recorded_tool(Tool(call.__name__, f"{call.__name__}(x)", "Does it.", call, effect))


def test_a_recorded_reply_is_never_asked_for_again(tmp_path: Path) -> None:
    script, recorded = llm(["one", "two"])
    first, _ = rollout(tmp_path / "j", lambda recorder: recorded.complete(ASKED))
    again, recorder = rollout(tmp_path / "j", lambda recorder: recorded.complete(ASKED))
    assert first == again == [Completion("one")]
    assert len(script.requests) == recorder.replayed == 1


def test_every_field_of_a_reply_comes_back_exactly(tmp_path: Path) -> None:
    given = [
        Completion("é\u2028\x00", "length", 7, None, 2, (1, 2**31 - 1), (-0.1234567890123456, -1e-300)),
        Completion("", "stop", None, None, None, (), ()),
    ]

    class Given(ScriptedLLM):
        async def complete(self, request: CompletionRequest) -> list[Completion]:
            self.requests.append(request)
            return given

    model = RecordedLLM(script := Given([]))
    runs = [rollout(tmp_path / "j", lambda recorder: model.complete(ASKED)) for _ in range(2)]
    assert [found for found, _ in runs] == [given, given]
    assert len(script.requests) == 1
    assert {(recorder.prompt_tokens, recorder.completion_tokens) for _, recorder in runs} == {(7, 2)}


@pytest.mark.parametrize(
    "other",
    [
        CompletionRequest((ChatMessage("user", "Hello!"),), seed=3),
        CompletionRequest(ASKED.messages, seed=4),
        CompletionRequest(ASKED.messages, seed=3, n=2),
        CompletionRequest(ASKED.messages, seed=3, temperature=0.4),
        CompletionRequest(ASKED.messages, seed=3, prefix="Well"),
    ],
)
def test_any_other_request_is_asked(tmp_path: Path, other: CompletionRequest) -> None:
    script, recorded = llm(["one", "two", "three"])
    rollout(tmp_path / "j", lambda recorder: recorded.complete(ASKED))
    rollout(tmp_path / "j", lambda recorder: recorded.complete(other))
    assert script.requests == [ASKED, *[other] * other.n]


def test_another_model_and_another_step_are_asked(tmp_path: Path) -> None:
    script, recorded = llm(["one", "two", "three"])
    other = RecordedLLM(ScriptedLLM(["other"], name="another"))

    async def ask(recorder: Recorder) -> list[str]:
        texts = [(await other.complete(ASKED))[0].text]
        for step in range(2):
            recorder.begin_step(step)
            texts.append((await recorded.complete(ASKED))[0].text)
        return texts

    assert [rollout(tmp_path / "j", ask)[0] for _ in range(2)] == [["other", "one", "two"]] * 2
    assert len(script.requests) == 2


def test_a_call_is_answered_from_the_journal_however_its_arguments_are_spelled(tmp_path: Path) -> None:
    calls = []

    async def look(x: str, k: int = 3) -> int:
        calls.append((x, k))
        return len(calls)

    use = tool(look).call
    spellings: list[Use] = [
        lambda recorder: use("a", 5),
        lambda recorder: use("a", k=5),
        lambda recorder: use(k=5, x="a"),
    ]
    assert [rollout(tmp_path / "j", spelling)[0] for spelling in spellings] == [1, 1, 1]
    assert calls == [("a", 5)]


def test_equal_requests_of_one_step_have_answers_of_their_own(tmp_path: Path) -> None:
    script, recorded = llm(["one", "two", "three"])

    async def twice(recorder: Recorder) -> list[str]:
        found = await asyncio.gather(recorded.complete(ASKED), recorded.complete(ASKED))
        return [completion.text for (completion,) in found]

    assert rollout(tmp_path / "j", twice)[0] == rollout(tmp_path / "j", twice)[0] == ["one", "two"]
    assert len(script.requests) == 2


def test_results_and_failures_of_tools_are_replayed_and_pure_tools_run_again(tmp_path: Path) -> None:
    calls: list[str] = []

    async def look(x: int) -> object:
        calls.append(f"look {x}")
        if x == 2:
            raise KeyError("nothing there")
        return {"x": (x, len(calls))}

    async def double(x: int) -> int:
        calls.append(f"double {x}")
        return 2 * x

    tools = [tool(look), tool(double, "pure")]

    async def use(recorder: Recorder) -> list[object]:
        found: list[object] = [await tools[0].call(1), await tools[0].call(x=1), await tools[1].call(1)]
        try:
            await tools[0].call(2)
        except Exception as error:
            found.append((type(error).__name__, str(error)))
        return found

    first, second = rollout(tmp_path / "j", use)[0], rollout(tmp_path / "j", use)[0]
    assert first == second == [{"x": [1, 1]}, {"x": [1, 2]}, 2, ("KeyError", "'nothing there'")]
    assert calls == ["look 1", "look 1", "double 1", "look 2", "double 1"]


def test_a_result_that_is_no_json_fails_the_same_way_each_time(tmp_path: Path) -> None:
    calls: list[int] = []

    async def look(x: int) -> object:
        calls.append(x)
        return {1, 2}

    async def use(recorder: Recorder) -> str:
        with pytest.raises(Exception, match="returned a set that is not a JSON value") as caught:
            await tool(look).call(1)
        return type(caught.value).__name__

    assert [rollout(tmp_path / "j", use)[0] for _ in range(2)] == ["TypeError", "TypeError"]
    assert calls == [1]


def test_a_write_that_was_cut_off_is_reported_and_not_repeated(tmp_path: Path) -> None:
    calls: list[int] = []

    async def send(x: int) -> str:
        calls.append(x)
        if len(calls) == 2:
            # As good as the process' death: the answer never arrives.
            raise asyncio.CancelledError
        return "sent"

    async def use(recorder: Recorder) -> list[str]:
        found = []
        for x in (1, 2):
            try:
                found.append(str(await tool(send, "write").call(x)))
            except Exception as error:
                found.append(type(error).__name__)
        return found

    with pytest.raises(asyncio.CancelledError):
        rollout(tmp_path / "j", use)
    assert [rollout(tmp_path / "j", use)[0] for _ in range(2)] == [["sent", LOST]] * 2
    assert calls == [1, 2]


def test_candidates_that_share_a_call_share_its_recorded_answer(tmp_path: Path) -> None:
    calls: list[int] = []

    async def look(x: int) -> int:
        calls.append(x)
        await asyncio.sleep(0.01)
        return x * 10

    async def use(recorder: Recorder) -> list[str]:
        async with ProcessSandbox({"look": tool(look)}, modules=()) as sandbox:
            session = await sandbox.open()
            trial, forks = Trial(), await session.fork(3)
            codes = ["print(look(1))", "print(look(1) + look(2))", "print(look(3))"]
            outcomes = await asyncio.gather(*(fork.run(code, trial) for fork, code in zip(forks, codes, strict=True)))
            for one in (session, *forks):
                await one.close()
            return [outcome.stdout.strip() for outcome in outcomes]

    assert rollout(tmp_path / "j", use)[0] == rollout(tmp_path / "j", use)[0] == ["10", "30", "30"]
    assert sorted(calls) == [1, 2, 3]


def test_a_wrapped_tool_is_called_and_documented_like_its_own(tmp_path: Path) -> None:
    async def look(x: int, *, loud: bool = False) -> int:
        return x

    wrapped = tool(look)
    assert inspect.signature(wrapped.call) == inspect.signature(look)
    assert (wrapped.name, wrapped.signature, wrapped.effect) == ("look", "look(x)", "read")


def test_nothing_is_asked_over_budget_but_what_is_recorded_is_still_answered(tmp_path: Path) -> None:
    script, recorded = llm(["one", "two"])
    rollout(tmp_path / "j", lambda recorder: recorded.complete(ASKED))
    spent = Meter(Budget(max_tokens=10))
    spent.read, spent.written = 8, 2

    async def use(recorder: Recorder) -> None:
        assert (await recorded.complete(ASKED))[0].text == "one"
        with pytest.raises(BudgetError, match="10 tokens are spent, --max-tokens is 10"):
            await recorded.complete(CompletionRequest(ASKED.messages, seed=9))

    rollout(tmp_path / "j", use, spent)
    assert len(script.requests) == 1


def test_a_server_that_does_not_count_cannot_be_held_to_a_budget(tmp_path: Path) -> None:
    script, recorded = llm(["one"])
    meter = Meter(Budget(max_cost_usd=1.0), Prices(1, 2))
    with pytest.raises(RunError, match="does not say how many tokens"):
        rollout(tmp_path / "j", lambda recorder: recorded.complete(ASKED), meter)
    # The reply was paid for, and is kept.
    assert rollout(tmp_path / "j", lambda recorder: recorded.complete(ASKED))[0][0].text == "one"
    assert len(script.requests) == 1


def test_a_journal_that_cannot_be_written_ends_the_step_not_the_tool(tmp_path: Path) -> None:
    async def look(x: int) -> int:
        return x

    async def use(recorder: Recorder) -> str:
        async with ProcessSandbox({"look": tool(look)}, modules=()) as sandbox:
            session = await sandbox.open()
            outcome = await session.run("look(1)")
            await session.close()
            with pytest.raises(RunError, match="cannot write the journal"):
                recorder.end_step()
            return outcome.error_kind

    async def run() -> str:
        journal = Journal(tmp_path / "j")
        with closing(journal):
            # No disk needed to be full: an id that SQLite does not take is refused alike.
            recorder = Recorder(object(), 0, journal)  # type: ignore[arg-type]
            with recording(recorder):
                return await use(recorder)

    assert asyncio.run(run()) == "tool"
