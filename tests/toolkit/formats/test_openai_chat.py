"""OpenAI chats: calls, results and answers in their columns; what tables cannot hold is named."""

from __future__ import annotations

import json

import pytest

from toolkit.errors import RecordError
from toolkit.formats.openai_chat import OpenAIChat

CHAT = OpenAIChat()
USER = {"role": "user", "content": "How long is the Vennal?"}

Message = dict[str, object]


def call(name: str, arguments: object, call_id: str | None = "c1") -> Message:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def acting(*calls: Message, content: object = None) -> Message:
    return {"role": "assistant", "content": content, "tool_calls": list(calls)}


def result(content: object, call_id: str | None = "c1", **more: object) -> Message:
    return {"role": "tool", "tool_call_id": call_id, "content": content, **more}


def said(content: object, role: str = "assistant", **more: object) -> Message:
    return {"role": role, "content": content, **more}


SEARCH = call("search", '{"query": "Vennal", "k": 3}')
TOOLS = [{"type": "function", "function": {"name": "search", "parameters": {"type": "object"}}}]


def test_every_part_of_a_chat_lands_in_its_column() -> None:
    messages = [
        said("Be brief.", "system"),
        USER,
        acting(SEARCH, content="Look it up."),
        result("340 km"),
        said("340 km"),
    ]
    record = {
        "messages": messages,
        "tools": TOOLS,
        "model": "m",
        "id": "q1",
        "answer": "340 km",
        "reward": True,
        "seed": 3,
    }
    parsed = CHAT.parse(record)
    assert (parsed.question, parsed.system_prompt, parsed.kind) == (USER["content"], "Be brief.", "agent")
    assert (parsed.dialect, parsed.model, parsed.source_id) == ("tool-calls", "m", "q1")
    assert (parsed.answers, parsed.reward, parsed.metadata) == (["340 km"], 1.0, {"seed": 3})
    assert json.loads(parsed.tools or "") == TOOLS
    assert (parsed.final_answer, parsed.stop_reason, parsed.losses) == ("340 km", "final_answer", [])
    first, last = parsed.steps
    assert (first.completion, first.thought, first.observation) == ("Look it up.", "Look it up.", "340 km")
    assert first.code == "search(query='Vennal', k=3)"
    (made,) = first.tool_calls
    assert (made.name, made.arguments, made.call_id) == ("search", '{"query": "Vennal", "k": 3}', "c1")
    assert json.loads(made.result or "") == "340 km"
    assert (last.completion, last.is_final, last.code, last.observation) == ("340 km", True, None, None)


def test_parallel_calls_keep_their_order_whatever_the_order_of_the_results() -> None:
    calls = [call("a", "{}", "1"), call("b", "{}", "2"), call("c", "{}", "3")]
    parsed = CHAT.parse({"messages": [USER, acting(*calls), result("B", "2"), result("C", "3"), result("A", "1")]})
    (step,) = parsed.steps
    assert (step.completion, step.thought, step.code) == ("", None, "a()\nb()\nc()")
    assert [json.loads(made.result or "") for made in step.tool_calls] == ["A", "B", "C"]
    assert step.observation == "A\nB\nC"
    assert (parsed.stop_reason, parsed.final_answer, parsed.losses) == ("unknown", None, [])


def test_ids_that_repeat_from_turn_to_turn_match_inside_their_turn() -> None:
    messages = [USER, acting(SEARCH), result("one"), acting(SEARCH), result("two"), said("x")]
    assert [step.observation for step in CHAT.parse({"messages": messages}).steps] == ["one", "two", None]


def test_results_without_id_go_to_the_first_open_call_of_their_name() -> None:
    calls = [call("a", "{}", None), call("b", "{}", None), call("b", "{}", None)]
    results = [result("B1", None, name="b"), result("A", None), result("B2", None, name="b")]
    parsed = CHAT.parse({"messages": [USER, acting(*calls), *results]})
    assert [json.loads(made.result or "") for made in parsed.steps[0].tool_calls] == ["A", "B1", "B2"]
    assert parsed.losses == []


def test_the_old_function_call_reads_like_a_tool_call() -> None:
    old = {"role": "assistant", "content": None, "function_call": {"name": "search", "arguments": '{"query": "x"}'}}
    parsed = CHAT.parse(
        {"messages": [USER, old, {"role": "function", "name": "search", "content": "found"}, said("y")]}
    )
    (made,) = parsed.steps[0].tool_calls
    assert (made.name, made.arguments, made.call_id) == ("search", '{"query": "x"}', None)
    assert (parsed.steps[0].observation, parsed.losses) == ("found", [])


@pytest.mark.parametrize(
    ("arguments", "kept", "code"),
    [
        ('{"b": 1, "a": [true, null]}', '{"b": 1, "a": [true, null]}', "f(b=1, a=[True, None])"),
        ({"b": 1, "a": "é"}, '{"b":1,"a":"é"}', "f(b=1, a='é')"),
        ('{"big": 12345678901234567890123}', '{"big": 12345678901234567890123}', "f(big=12345678901234567890123)"),
        ('{"a b": 1, "class": 2, "c": 3}', '{"a b": 1, "class": 2, "c": 3}', "f(c=3, **{'a b': 1, 'class': 2})"),
        ("", "{}", "f()"),
        (None, "{}", "f()"),
    ],
)
def test_arguments_stay_as_the_model_wrote_them(arguments: object, kept: str, code: str) -> None:
    (step,) = CHAT.parse({"messages": [USER, acting(call("f", arguments))]}).steps
    assert (step.tool_calls[0].arguments, step.code, step.error_kind) == (kept, code, "none")


@pytest.mark.parametrize("arguments", ['{"a": ', "[1]", '"text"', "NaN", 5, [1]])
def test_arguments_that_are_no_object_are_a_parse_error_of_the_step(arguments: object) -> None:
    (step,) = CHAT.parse({"messages": [USER, acting(call("f", arguments))]}).steps
    assert step.error_kind == "parse"
    assert step.error
    assert json.loads(step.tool_calls[0].arguments) == {"_raw": arguments}


def test_one_answer_without_calls_is_a_chain_of_thought() -> None:
    parsed = CHAT.parse({"conversations": [USER, said("It is \\boxed{340} km.\nFinal answer: 340")]})
    assert (parsed.kind, parsed.dialect) == ("cot", "plain")
    assert parsed.final_answer == "It is \\boxed{340} km.\nFinal answer: 340"
    assert parsed.steps[0].is_final


def test_an_agent_that_answers_without_using_its_tools_is_an_agent() -> None:
    parsed = CHAT.parse({"messages": [USER, said("340 km")], "tools": json.dumps(TOOLS)})
    assert (parsed.kind, parsed.dialect, parsed.final_answer) == ("agent", "tool-calls", "340 km")


def test_reasoning_beside_the_content_is_the_thought() -> None:
    messages = [USER, {**acting(SEARCH, content="Searching."), "reasoning_content": "I do not know it."}, result("x")]
    (step,) = CHAT.parse({"messages": messages}).steps
    assert (step.completion, step.thought) == ("Searching.", "I do not know it.\n\nSearching.")


@pytest.mark.parametrize(("answer", "text"), [("340 km", "340 km"), (340, "340"), (["a", "b"], '["a","b"]')])
def test_a_call_of_final_answer_ends_the_rollout(answer: object, text: str) -> None:
    parsed = CHAT.parse({"messages": [USER, acting(call("final_answer", json.dumps({"answer": answer})))]})
    (step,) = parsed.steps
    assert (parsed.final_answer, parsed.stop_reason, step.is_final, step.tool_calls) == (text, "final_answer", True, [])
    assert (step.code, parsed.losses) == (f"final_answer(answer={answer!r})", [])


def test_structured_results_are_kept_as_their_own_json() -> None:
    (step,) = CHAT.parse({"messages": [USER, acting(SEARCH), result({"hits": [1, 2]})]}).steps
    assert (step.tool_calls[0].result, step.observation) == ('{"hits":[1,2]}', '{"hits":[1,2]}')


PICTURE = {"type": "image_url", "image_url": {"url": "data:"}}


@pytest.mark.parametrize(
    ("messages", "losses"),
    [
        ([USER, acting(SEARCH), said("x")], ["tool call without a result"]),
        ([USER, acting(SEARCH), result("x", "other"), said("x")], 2),
        ([USER, acting(SEARCH), result("x"), result("again")], ["tool result without a call kept as observation"]),
        ([result("x"), USER, said("x")], ["tool result before the first assistant turn (left out)"]),
        ([USER, said("x"), USER, said("y")], ["user turn in mid-conversation kept as observation"]),
        ([USER, said("x"), said("s", "system"), said("y")], ["system turn in mid-conversation kept as observation"]),
        ([USER, USER, said("x")], ["several user turns before the first answer (joined)"]),
        ([said("s", "system"), said("d", "developer"), USER, said("x")], 1),
        ([said([{"type": "text", "text": "q"}, PICTURE, PICTURE], "user"), said("x")], ["image_url content part"]),
        ([USER, said("x", refusal="no", weight=0, name="bot", annotations=[])], 3),
        ([USER, said("x", logprobs={"content": []}), said("y", logprobs={"content": [1]})], 1),
        ([USER, said("x", refusal=None, audio=None, tool_calls=None, function_call=None)], []),
    ],
)
def test_what_the_tables_cannot_hold_is_named_once_a_kind(messages: list[Message], losses: list[str] | int) -> None:
    found = CHAT.parse({"messages": messages}).losses
    assert len(found) == len(set(found))
    assert (len(found) if isinstance(losses, int) else found) == losses


def test_turns_of_others_in_mid_conversation_follow_the_results_in_the_observation() -> None:
    parsed = CHAT.parse({"messages": [USER, acting(SEARCH), said("Hurry.", "user"), result("340 km"), said("340 km")]})
    assert parsed.steps[0].observation == "340 km\nHurry."
    assert parsed.final_answer == "340 km"


def test_a_chat_that_ends_with_the_user_has_no_final_answer() -> None:
    parsed = CHAT.parse({"messages": [USER, said("Which one?"), said("The long one.", "user")]})
    assert (parsed.final_answer, parsed.stop_reason) == (None, "unknown")


def test_a_talk_of_several_turns_is_no_chain_of_thought() -> None:
    parsed = CHAT.parse({"messages": [USER, said("Which one?"), said("The long one.", "user"), said("340 km")]})
    assert (parsed.kind, parsed.dialect, [step.is_final for step in parsed.steps]) == ("agent", "plain", [False, True])


def test_text_parts_are_put_together_as_templates_render_them() -> None:
    parts = [{"type": "text", "text": "How "}, {"type": "input_text", "text": "long?"}, {"type": "text", "text": None}]
    assert CHAT.parse({"messages": [said(parts, "user"), said("x")]}).question == "How long?"


def test_fields_of_another_type_than_their_column_are_kept_as_metadata() -> None:
    around: Message = {
        "answer": {"value": "x"},
        "cost": {"total": 1},
        "reward": "high",
        "id": [1],
        "tools": "none",
        "cost_usd": -1,
    }
    parsed = CHAT.parse({"messages": [USER, said("x")], **around})
    assert parsed.metadata == around
    assert (parsed.answers, parsed.cost_usd, parsed.reward, parsed.source_id, parsed.tools) == (
        [],
        None,
        None,
        None,
        None,
    )


def test_of_two_names_for_a_column_the_first_counts_and_the_other_is_kept() -> None:
    parsed = CHAT.parse(
        {"messages": [USER, said("x")], "model": "a", "model_id": "b", "answer": "1", "true_answer": "2"}
    )
    assert (parsed.model, parsed.answers) == ("a", ["1"])
    assert parsed.metadata == {"model_id": "b", "true_answer": "2"}


def test_answers_keep_gold_first_without_repeats() -> None:
    assert CHAT.parse({"messages": [USER, said("x")], "answers": ["340 km", 340, "340 km"]}).answers == [
        "340 km",
        "340",
    ]


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([USER], "expected at least one assistant turn, came none"),
        ([said("x")], "expected a question in the first user turn"),
        ([said("  ", "user"), said("x")], "expected a question in the first user turn"),
        ([USER, said("x", "narrator")], r'messages\[1\] to have the role system, .* came "narrator"'),
        (
            [{"from": "human", "value": "x"}],
            r"expected messages\[0\] to have a role, came an object with .from., .value.",
        ),
        ([USER, said({"text": "x"})], r"messages\[1\].content to be text or a list of parts, came an object"),
        ([USER, said([5])], r"the parts of messages\[1\].content to be objects, came the number 5"),
        ([USER, said([{"type": "text", "text": 5}])], "to have a type and a text"),
        ([USER, said("x", tool_calls="f()")], r"messages\[1\].tool_calls to be a list, came the string"),
        ([USER, acting({"id": "1"})], r"messages\[1\].tool_calls\[0\] to name a function"),
        ([USER, acting(call("", "{}"))], r"to name a function"),
    ],
)
def test_what_is_no_chat_is_a_record_error_that_says_why(messages: list[Message], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        CHAT.parse({"messages": messages})
