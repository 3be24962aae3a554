"""No JSON value makes a format raise anything but `RecordError`, and what it returns can be stored."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.identity import canonical_json
from toolkit.errors import RecordError
from toolkit.formats.code_blocks import split_turn
from toolkit.formats.detect import FORMATS, parse_checked
from toolkit.formats.parsed import ParsedTrajectory
from toolkit.formats.react_turns import read_turn

TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["Thought: a\nAction: search[x]", "Action: finish[y]", "Observation: z", "New task:\nq", "{", '{"a": 1}']
    ),
    st.sampled_from(
        ["<code>final_answer(1)</code>", "```py\nx\n```<end_code>", "Calling tools:\n'python_interpreter'"]
    ),
    st.sampled_from(
        ["Error:\nReached max steps.", "Call id: c\nError:\nError in code parsing:", "Question: q\nThought: a"]
    ),
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS)
KEYS = st.sampled_from(
    "messages conversations steps memory original_memory log_data role content tool_calls function function_call name "
    "arguments id tool_call_id text trajectory type task plan model_output observations error message duration timing "
    "token_usage input_tokens action_output is_final_answer code_action step_number question answer answers tools "
    "model reward cost system_prompt metadata output state score".split()
) | st.text(max_size=3)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)
ROLES = st.sampled_from("user assistant assistant tool tool-response MessageRole.ASSISTANT system".split())


Fields = dict[str, st.SearchStrategy[object]]


def nearly(required: Fields, optional: Fields | None = None) -> st.SearchStrategy[dict[str, object]]:
    """Objects with the right fields, of which one in twenty holds anything at all."""

    def mostly(value: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
        return st.integers(0, 19).flatmap(lambda draw: value if draw else VALUES)

    fields = {name: mostly(value) for name, value in required.items()}
    return st.fixed_dictionaries(fields, optional={name: mostly(value) for name, value in (optional or {}).items()})


FUNCTION = nearly({"name": st.sampled_from(["f", "final_answer", "python_interpreter"]), "arguments": TEXTS})
CALLS = st.lists(nearly({"function": FUNCTION}, {"id": TEXTS}), max_size=2)
MESSAGE = nearly({"role": ROLES, "content": TEXTS}, {"tool_calls": CALLS, "tool_call_id": TEXTS, "name": TEXTS})
OPENING: list[object] = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "Action: search[x]"}]
MESSAGES = st.lists(MESSAGE, max_size=4).map(lambda messages: OPENING + messages)
ACTION = nearly(
    {"model_output": TEXTS},
    {
        "tool_calls": CALLS,
        "observations": TEXTS,
        "error": nearly({"type": TEXTS, "message": TEXTS}),
        "action_output": SCALARS,
        "is_final_answer": st.booleans(),
    },
)
STEPS = st.lists(ACTION | nearly({"task": TEXTS}) | nearly({"plan": TEXTS}), min_size=1, max_size=4)
LOG = nearly({"messages": MESSAGES, "original_memory": nearly({"steps": st.just([])})})
ANYTHING = st.dictionaries(KEYS, VALUES, max_size=5)
CHATS = nearly({"messages": MESSAGES}, {"question": TEXTS, "tools": TEXTS, "reward": SCALARS})
RECORDS = {
    "react-text": ANYTHING | CHATS | nearly({"text": st.lists(TEXTS, max_size=4).map("\n".join)}, {"question": TEXTS}),
    "openai-chat": ANYTHING | CHATS,
    "smolagents": ANYTHING
    | CHATS
    | nearly({"steps": STEPS, "question": TEXTS}, {"score": SCALARS, "output": SCALARS})
    | nearly({"log_data": LOG, "question": TEXTS}, {"generated_answer": SCALARS, "error": TEXTS}),
}


def assert_storable(parsed: ParsedTrajectory) -> None:
    """What the tables demand of every row: a question, JSON in JSON columns, names, counts."""
    assert parsed.question.strip()
    canonical_json(parsed.metadata)
    assert parsed.tools is None or isinstance(json.loads(parsed.tools), list)
    assert len(set(parsed.losses)) == len(parsed.losses)
    assert sum(step.is_final for step in parsed.steps) <= 1
    for step in parsed.steps:
        assert (step.error_kind == "none") == (step.error is None)
        assert step.latency_ms is None or step.latency_ms >= 0
        for call in step.tool_calls:
            assert call.name
            assert isinstance(json.loads(call.arguments), dict)
            assert call.result is None or json.loads(call.result) is not ...


@pytest.mark.parametrize("name", list(FORMATS))
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_object_is_parsed_or_refused_with_a_record_error(name: str, data: st.DataObject) -> None:
    record = data.draw(RECORDS[name])
    try:
        parsed = parse_checked(FORMATS[name], record, insist=True)
    except RecordError as error:
        shown = error.reason
    else:
        assert_storable(parsed)
        shown = " ".join(parsed.losses)
    assert shown.isprintable()  # goes to a terminal


@settings(max_examples=150, deadline=None)
@given(record=st.one_of(*RECORDS.values()))
def test_any_object_can_be_claimed_or_not(record: dict[str, object]) -> None:
    for known in FORMATS.values():
        claim = known.claim(record)
        assert claim is None or 0 < claim.strength <= 100


@given(
    text=st.lists(st.sampled_from(["Thought:", "Action 1:", "Observation:", "search", "[", "]", "\n", " ", "x"])).map(
        "".join
    )
)
def test_a_react_turn_keeps_its_text_and_is_an_action_or_a_parse_error(text: str) -> None:
    step, answer = read_turn(text, {})
    assert step.completion == text
    assert (step.error_kind == "parse") != (step.code is not None and step.error is None)
    assert answer is None
    assert all(part in text for part in (step.code or "").split("\n"))


@given(
    text=st.lists(st.sampled_from(["<code>", "</code>", "```py\n", "\n```", "Thought:", "Code:", "{", "x", "\n"])).map(
        "".join
    )
)
def test_a_smolagents_turn_is_split_into_parts_of_its_text(text: str) -> None:
    thought, code = split_turn(text)
    assert thought is None or thought in text
    assert all(part in text for part in (code or "").split("\n\n"))
