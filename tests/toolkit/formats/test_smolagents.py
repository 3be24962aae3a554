"""Memories that smolagents 1.13 and 1.26 really wrote (tests/data/formats), and their variants."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from toolkit.errors import RecordError
from toolkit.formats.json_values import decode
from toolkit.formats.parsed import ParsedTrajectory
from toolkit.formats.records import iter_records
from toolkit.formats.smolagents import Smolagents

DATA = Path(__file__).parents[2] / "data" / "formats"
SMOLAGENTS = Smolagents()
QUESTION = "How long is the river that the Ostrel Bridge spans?"
OLD, NEW = "smolagents_1_13.jsonl", "smolagents_1_26.jsonl"

Record = dict[str, object]


def records(name: str) -> list[Record]:
    return [record.value for record in iter_records(DATA / name) if record.value is not None]


def memory_of(name: str, record_id: str) -> Record:
    return next(record for record in records(name) if record["id"] == record_id)


def logged(explanation: str) -> Record:
    return next(record for record in records("agent_distillation.jsonl") if record.get("explanation") == explanation)


@pytest.mark.parametrize(
    ("name", "dialect", "completion"),
    [
        (OLD, "smolagents-1.13", "Thought: The river is the Vennal.\nCode:\n```py\n{}\n```<end_code>"),
        (NEW, "smolagents", "Thought: The river is the Vennal.\n<code>\n{}\n</code>"),
    ],
)
def test_every_part_of_a_memory_lands_in_its_column(name: str, dialect: str, completion: str) -> None:
    parsed = SMOLAGENTS.parse(memory_of(name, "two-hops"))
    assert (parsed.question, parsed.dialect, parsed.kind) == (QUESTION, dialect, "agent")
    assert (parsed.source_id, parsed.answers) == ("two-hops", ["340 km"])
    assert parsed.system_prompt is not None
    assert parsed.system_prompt.startswith("You solve tasks")
    assert (parsed.final_answer, parsed.stop_reason, parsed.losses) == ("340 km", "final_answer", [])
    assert [step.is_final for step in parsed.steps] == [False, False, True]
    code = 'print(web_search(query="river Vennal"))'
    step = parsed.steps[1]
    assert step.completion == completion.format(code)
    assert (step.thought, step.code, step.tool_calls) == ("The river is the Vennal.", code, [])
    assert step.observation == (
        "Execution logs:\nThe river Vennal is 340 km long and ends in Lake Tamber.\n"
        "Last output from code snippet:\nNone"
    )


def test_the_time_of_a_step_is_in_milliseconds() -> None:
    timing = {"timing": {"start_time": 1.0, "end_time": 3.5, "duration": 2.5}}
    assert memory({"step_number": 1, "model_output": "x", **timing}).steps[0].latency_ms == 2500.0
    assert memory({"step": 1, "model_output": "x", "duration": 0.25}).steps[0].latency_ms == 250.0


@pytest.mark.parametrize("name", [OLD, NEW])
def test_fields_that_a_parquet_file_fills_with_null_change_nothing(name: str) -> None:
    for record_id in ("two-hops", "parse-error", "max-steps", "planning"):
        steps = steps_of(name, record_id)
        fields = sorted({field for step in steps for field in step} - {"is_final_answer"})
        filled = [{field: step.get(field) for field in fields} | step for step in steps]
        assert SMOLAGENTS.parse({"steps": filled}) == SMOLAGENTS.parse({"steps": steps})


def test_full_steps_are_preferred_to_the_messages_made_from_them() -> None:
    log = decode(str(logged("two hops")["log_data"]))
    assert isinstance(log, dict)
    parsed = SMOLAGENTS.parse({**memory_of(NEW, "two-hops"), "messages": log["messages"]})
    assert (parsed.dialect, parsed.steps[0].prompt_tokens) == ("smolagents", 100)


def test_tokens_are_those_that_the_server_counted() -> None:
    steps = SMOLAGENTS.parse(memory_of(NEW, "two-hops")).steps
    assert [(step.prompt_tokens, step.completion_tokens) for step in steps] == [(100, 29), (100, 20), (100, 14)]
    assert SMOLAGENTS.parse(memory_of(OLD, "two-hops")).steps[0].prompt_tokens is None


def test_a_thought_of_several_lines_keeps_them() -> None:
    for name in (OLD, NEW):
        step = SMOLAGENTS.parse(memory_of(name, "two-hops")).steps[0]
        assert step.thought == "I need the river first,\nthen its length."


@pytest.mark.parametrize("name", [OLD, NEW])
def test_an_execution_error_is_shown_after_what_was_printed(name: str) -> None:
    parsed = SMOLAGENTS.parse(memory_of(name, "execution-error"))
    step = parsed.steps[0]
    message = "Code execution failed at line 'ratio = 340 / 0' due to: ZeroDivisionError: division by zero"
    assert (step.error_kind, step.error) == ("execution", message)
    assert step.observation == (
        f"Execution logs:\nbefore\n\nError:\n{message}\nNow let's retry: take care not to repeat previous errors! "
        "If you have retried several times, try a completely different approach.\n"
    )
    assert (parsed.final_answer, parsed.steps[1].code) == ("170.0", "final_answer(340 / 2)")


@pytest.mark.parametrize("name", [OLD, NEW])
def test_a_parse_error_has_no_code_and_its_whole_text_as_thought(name: str) -> None:
    step = SMOLAGENTS.parse(memory_of(name, "parse-error")).steps[0]
    assert (step.error_kind, step.code) == ("parse", None)
    assert step.thought == "I believe that the final answer is 1912 (no code needed)"
    assert (step.error or "").startswith("Error in code parsing:")


@pytest.mark.parametrize(("name", "losses"), [(OLD, []), (NEW, ["tokens of the answer after the last step"])])
def test_the_answer_asked_for_after_the_last_step_is_no_step(name: str, losses: list[str]) -> None:
    parsed = SMOLAGENTS.parse(memory_of(name, "max-steps"))
    assert (parsed.stop_reason, parsed.final_answer) == ("max_steps", "The river Vennal is 340 km long.")
    assert (len(parsed.steps), parsed.losses) == (2, losses)
    assert not any(step.is_final for step in parsed.steps)


def test_a_call_of_final_answer_that_was_not_reached_does_not_end_the_rollout() -> None:
    unreached = {"step": 1, "model_output": "```py\nif found:\n    final_answer(1)\n```<end_code>"}
    end = {"step": 2, "error": {"type": "AgentMaxStepsError", "message": "Reached max steps."}, "action_output": "x"}
    parsed = memory(unreached, end)
    assert (parsed.stop_reason, parsed.final_answer, parsed.steps[0].is_final) == ("max_steps", "x", False)


@pytest.mark.parametrize("name", [OLD, NEW])
def test_plans_are_named_as_a_loss(name: str) -> None:
    parsed = SMOLAGENTS.parse(memory_of(name, "planning"))
    assert (len(parsed.steps), parsed.losses) == (2, ["planning step"])


def test_calls_of_a_tool_calling_agent_are_read() -> None:
    parsed = SMOLAGENTS.parse(memory_of(NEW, "tool-calling"))
    first, last = parsed.steps
    assert parsed.dialect == "tool-calls"
    assert first.code == "web_search(query='Ostrel Bridge')\nweb_search(query='river Vennal')"
    assert [json.loads(call.arguments)["query"] for call in first.tool_calls] == ["Ostrel Bridge", "river Vennal"]
    assert [call.result for call in first.tool_calls] == [None, None]
    assert (last.code, last.tool_calls, last.is_final) == ("final_answer(answer='340 km')", [], True)
    assert parsed.final_answer == "340 km"


def content(parsed: ParsedTrajectory) -> list[object]:
    shown = [(step.completion, step.thought, step.code, step.observation, step.error) for step in parsed.steps]
    return [parsed.question, parsed.dialect, parsed.stop_reason, parsed.final_answer, parsed.losses, *shown]


@pytest.mark.parametrize(
    ("explanation", "same"),
    [
        ("two hops", "two-hops"),
        ("execution error", "execution-error"),
        ("parse error", "parse-error"),
        ("max steps", "max-steps"),
        ("planning", "planning"),
    ],
)
def test_messages_of_a_log_tell_the_same_as_the_memory_they_were_made_from(explanation: str, same: str) -> None:
    assert content(SMOLAGENTS.parse(logged(explanation))) == content(SMOLAGENTS.parse(memory_of(OLD, same)))


def test_the_fields_around_a_log_are_kept() -> None:
    parsed = SMOLAGENTS.parse(logged("two hops"))
    assert (parsed.model, parsed.cost_usd, parsed.reward) == ("scripted/teacher", 0.0125, 1.0)
    assert parsed.answers == ["340 km"]
    assert parsed.metadata == {
        "explanation": "two hops",
        "log_metadata": {"agent_name": "CodeAgent"},
        "first_user_turn": f"{QUESTION}\n\nIMPORTANT: Always provide a 'Thought:' sequence.",
    }


def test_a_log_may_be_an_object_or_its_json_text() -> None:
    record = logged("two hops")
    log = decode(str(record["log_data"]))
    assert SMOLAGENTS.parse({**record, "log_data": log}) == SMOLAGENTS.parse(record)


def test_a_rollout_that_failed_before_its_first_turn_is_a_row_with_an_error() -> None:
    failed = next(record for record in records("agent_distillation.jsonl") if record["log_data"] is None)
    parsed = SMOLAGENTS.parse(failed)
    assert (parsed.steps, parsed.stop_reason, parsed.error) == ([], "error", "server gone")
    assert (parsed.question, parsed.metadata) == (QUESTION, {})


def steps_of(name: str, record_id: str) -> list[Record]:
    memory = memory_of(name, record_id)["memory"]
    assert isinstance(memory, dict)
    steps = memory["steps"]
    assert isinstance(steps, list)
    return steps


@pytest.mark.parametrize(
    "wrap",
    [
        lambda steps: {"steps": steps},
        lambda steps: {"memory": steps},
        lambda steps: {"memory": {"steps": steps}},
        lambda steps: {"original_memory": {"steps": steps}},
        lambda steps: {"messages": steps},
        lambda steps: {"steps": steps, "output": "340 km", "state": "success", "token_usage": None},
    ],
)
def test_memories_are_found_wherever_users_put_them(wrap: Callable[[object], Record]) -> None:
    for name in (OLD, NEW):
        record = wrap(steps_of(name, "two-hops"))
        assert SMOLAGENTS.claim(record) is not None
        parsed = SMOLAGENTS.parse(record)
        assert (parsed.question, parsed.final_answer, len(parsed.steps)) == (QUESTION, "340 km", 3)


def test_a_bare_step_says_how_to_write_a_memory() -> None:
    step = steps_of(NEW, "two-hops")[1]
    assert SMOLAGENTS.claim(step) is not None
    with pytest.raises(RecordError, match="came one step of it; .* jq -c"):
        SMOLAGENTS.parse(step)


def test_a_run_result_says_that_the_steps_ran_out() -> None:
    steps = [{"task": "How long?"}, {"step_number": 1, "model_output": "x"}]
    parsed = SMOLAGENTS.parse({"steps": steps, "output": "y", "generated_answer": "z", "state": "max_steps_error"})
    assert (parsed.stop_reason, parsed.final_answer) == ("max_steps", "z")
    assert parsed.metadata == {"output": "y", "state": "max_steps_error"}


def memory(*steps: Record, **around: object) -> ParsedTrajectory:
    return SMOLAGENTS.parse({"steps": [{"task": "How long?"}, *steps], **around})


@pytest.mark.parametrize(
    ("kind", "error_kind"),
    [
        ("AgentParsingError", "parse"),
        ("AgentExecutionError", "execution"),
        ("AgentError", "execution"),
        ("AgentToolCallError", "tool"),
        ("AgentToolExecutionError", "tool"),
    ],
)
def test_the_type_of_an_error_is_its_kind(kind: str, error_kind: str) -> None:
    raised = {"type": kind, "message": "bad"}
    (step,) = memory({"step_number": 1, "model_output": "<code>x = (</code>", "error": raised}).steps
    assert (step.error_kind, step.error) == (error_kind, "bad")
    assert step.code == (None if error_kind == "parse" else "x = (")


def test_a_model_that_fails_ends_the_rollout_with_an_error() -> None:
    failed = {"step_number": 2, "error": {"type": "AgentGenerationError", "message": "server gone"}}
    parsed = memory({"step_number": 1, "model_output": "```py\nfinal_answer(1)\n```<end_code>"}, failed)
    assert (parsed.stop_reason, parsed.error, len(parsed.steps)) == ("error", "server gone", 1)


@pytest.mark.parametrize(
    ("output", "thought", "code"),
    [
        ("Thought: a\nCode:\n```py\nx = 1\n```<end_code>", "a", "x = 1"),
        ("Thoughts: a\nCode:\n```python\nx = 1\n```", "a", "x = 1"),
        ("a\n```\nx = 1\n```\nthen\n```py\ny = 2\n```", "a", "x = 1\n\ny = 2"),
        ("Thought: a\n<code>\nx = '```'\n</code>", "a", "x = '```'"),
        ("<code>x = 1</code> and <code>y = 2</code>", None, "x = 1\n\ny = 2"),
        ("<code>\nx = 1\n</code>\n```py\ny = 2\n```", None, "x = 1"),
        ("Thought: the Code: part\n<code>x</code>", "the Code: part", "x"),
        ("Thought: never closed\n<code>\nx = 1", "never closed\n<code>\nx = 1", None),
        ('{"thought": "a", "code": "x = 1"}', "a", "x = 1"),
        ('{"thought": "a", "code":', '{"thought": "a", "code":', None),
        ("{a}: set\n<code>x</code>", "{a}: set", "x"),
        ("", None, None),
    ],
)
def test_thought_and_code_are_split_as_the_libraries_split_them(
    output: str, thought: str | None, code: str | None
) -> None:
    (step,) = memory({"step_number": 1, "model_output": output}).steps
    assert (step.completion, step.thought, step.code) == (output, thought, code)


def test_bare_code_that_ran_is_code_and_no_thought() -> None:
    function = {"name": "python_interpreter", "arguments": "print(1)"}
    (step,) = memory({"step": 1, "model_output": "print(1)", "tool_calls": [{"id": "c", "function": function}]}).steps
    assert (step.thought, step.code, step.tool_calls) == (None, "print(1)", [])


@pytest.mark.parametrize(
    ("output", "text"), [(True, "True"), (3.5, "3.5"), ([1, "a"], '[1,"a"]'), ({"a": None}, '{"a":null}'), ("x", "x")]
)
def test_final_answers_become_text(output: object, text: str) -> None:
    assert memory({"step_number": 1, "action_output": output, "is_final_answer": True}).final_answer == text


@pytest.mark.parametrize(
    ("step", "loss"),
    [
        ({"step_number": 1, "model_output": "x", "observations_images": ["…"]}, "image of an observation"),
        ({"step_number": 1, "model_output": "x", "agent_memory": {"a": 1}}, 'step field "agent_memory"'),
        ({"step": 1, "model_output_message": {"content": "x", "raw": {"id": 1}}}, "raw reply of the model's server"),
        ({"step": 1, "model_output": [{"type": "image", "image": "…"}]}, "image content part"),
    ],
)
def test_what_the_tables_cannot_hold_is_named(step: Record, loss: str) -> None:
    assert memory(step).losses == [loss]


def test_a_further_task_and_managed_agents_are_named() -> None:
    answer = {"step_number": 1, "model_output": "<code>final_answer(1)</code>", "action_output": 1}
    parsed = memory(answer, {"task": "And now?", "task_images": ["…"]}, answer, managed_agents={"helper": "CodeAgent"})
    assert parsed.steps[0].observation == "And now?"
    assert [step.is_final for step in parsed.steps] == [False, True]
    assert len(parsed.losses) == 3


def test_the_fork_of_agent_distillation_shows_its_last_answer_as_a_turn() -> None:
    messages = [
        {"role": "user", "content": "New task:\nHow long?"},
        {"role": "assistant", "content": "Thought: a\nCode:\n```py\nx = 1\n```<end_code>"},
        {"role": "tool-call", "content": "Calling tools:\n[{'function': {'name': 'python_interpreter'}}]"},
        {"role": "tool-response", "content": "Call id: call_1\nObservation:\nExecution logs:\n"},
        {"role": "assistant", "content": "340 km"},
        {"role": "tool-response", "content": "Error:\nReached max steps.\nNow let's retry: take care"},
    ]
    parsed = SMOLAGENTS.parse({"messages": messages})
    assert (parsed.stop_reason, parsed.final_answer, len(parsed.steps)) == ("max_steps", "340 km", 1)


def test_an_answer_without_final_answer_means_that_the_steps_ran_out() -> None:
    record = logged("max steps")
    log = decode(str(record["log_data"]))
    assert isinstance(log, dict)
    log["messages"].pop()  # newer logs leave the message "Reached max steps." out
    parsed = SMOLAGENTS.parse({**record, "log_data": log})
    assert (parsed.stop_reason, parsed.final_answer) == ("max_steps", "The river Vennal is 340 km long.")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"question": "q"}, 'expected "memory", "steps", "messages" or "log_data", came an object with "question"'),
        ({"steps": []}, "expected steps to be a list of objects, came an empty list"),
        ({"steps": ["x"]}, r"expected steps\[0\] to be an object"),
        ({"steps": [{"task": "q"}]}, "expected at least one action step"),
        ({"steps": [{"task": 5}]}, "expected the task to be text, came the number 5"),
        ({"steps": [{"colour": "red"}]}, r'expected steps\[0\] to be a task, plan, action or answer, came .*"colour"'),
        ({"steps": [{"step": 1, "model_output": 5}]}, r"steps\[0\].model_output.content to be text"),
        ({"steps": [{"step": 1, "observations": 5}]}, r"steps\[0\].observations to be text"),
        ({"steps": [{"step": 1, "error": 5}]}, r"steps\[0\].error to have a type and a message"),
        ({"steps": [{"step": 1, "tool_calls": 5}]}, r"steps\[0\].tool_calls to be a list"),
        ({"steps": [{"step": 1, "duration": "x"}]}, r"steps\[0\].duration to be a number"),
        ({"steps": [{"step": 1, "token_usage": {"input_tokens": -1}}]}, "to be a number of tokens, came the number -1"),
        ({"log_data": "{"}, "expected JSON, column 2"),
        ({"log_data": "[]"}, "expected log_data to be an object or its JSON text, came an empty list"),
        ({"log_data": None, "question": "q"}, "expected at least one action step"),
        ({"messages": [{"role": "tool-response", "content": "x"}]}, "to come after an assistant turn"),
        ({"messages": [{"role": "tool-call", "content": "Calling tools:\n[{'name': 'f'}]"}]}, "import the steps"),
        ({"messages": [{"role": "narrator", "content": "x"}]}, 'came "narrator"'),
    ],
)
def test_what_is_no_memory_is_a_record_error_that_says_why(record: Record, message: str) -> None:
    with pytest.raises(RecordError, match=message):
        SMOLAGENTS.parse({"question": "q", **record})
