"""ReAct text: every turn in its column, every oddity where the docstrings say."""

from __future__ import annotations

import json

import pytest

from toolkit.errors import RecordError
from toolkit.formats.parsed import ParsedStep, ParsedTrajectory
from toolkit.formats.react_text import ReactText

REACT = ReactText()
QUESTION = "Which lake does the river under the Ostrel Bridge end in?"


def chat(*turns: str, question: str = QUESTION) -> dict[str, object]:
    """A FireAct record; the turns alternate between assistant and user."""
    messages = [{"role": "user", "content": question}]
    messages += [
        {"role": "user" if position % 2 else "assistant", "content": text} for position, text in enumerate(turns)
    ]
    return {"messages": messages}


def step_of(turn: str) -> tuple[ParsedStep, ParsedTrajectory]:
    parsed = REACT.parse(chat(turn, "Observation: seen"))
    return parsed.steps[0], parsed


EPISODE = chat(
    "Thought: I need the river first.\nAction: search[Ostrel Bridge]",
    "Observation: It spans the river Vennal. ",
    "Thought: Now the river.\nAction: search[river Vennal]",
    "Observation: It ends in Lake Tamber.",
    "Thought: Lake Tamber.\nAction: finish[Lake Tamber]",
    "Observation: Episode finished, reward = True",
)


def test_every_part_of_an_episode_lands_in_its_column() -> None:
    parsed = REACT.parse(EPISODE)
    assert (parsed.question, parsed.dialect, parsed.kind) == (QUESTION, "react-text", "agent")
    assert (parsed.final_answer, parsed.stop_reason, parsed.reward) == ("Lake Tamber", "final_answer", 1.0)
    assert parsed.losses == []
    first, second, last = parsed.steps
    assert first.completion == "Thought: I need the river first.\nAction: search[Ostrel Bridge]"
    assert (first.thought, first.code) == ("I need the river first.", "search[Ostrel Bridge]")
    assert first.observation == "It spans the river Vennal. "
    (call,) = first.tool_calls
    assert (call.name, json.loads(call.arguments)) == ("search", {"query": "Ostrel Bridge"})
    assert json.loads(call.result or "") == first.observation
    assert [second.is_final, last.is_final] == [False, True]
    assert (last.code, last.tool_calls) == ("finish[Lake Tamber]", [])
    assert last.observation == "Episode finished, reward = True"


@pytest.mark.parametrize(
    ("verdict", "reward"),
    [("True", 1.0), ("False", 0.0), ("1", 1.0), ("0", 0.0), ("0.25", 0.25), ("unclear", None)],
)
def test_the_verdict_of_the_environment_becomes_the_reward(verdict: str, reward: float | None) -> None:
    parsed = REACT.parse(chat("Action: finish[x]", f"Observation: Episode finished, reward = {verdict}"))
    assert parsed.reward == reward
    assert parsed.steps[-1].observation == f"Episode finished, reward = {verdict}"


def test_the_question_stays_as_the_model_was_shown_it() -> None:
    question = "Question: Which one?\nA. this\nB. that"
    assert REACT.parse(chat("Thought: x\nAction: finish[A]", question=question)).question == question


def test_a_question_field_wins_and_the_differing_turn_is_kept() -> None:
    parsed = REACT.parse({**chat("Action: finish[A]", question="Question: Which?"), "question": "Which?"})
    assert (parsed.question, parsed.metadata) == ("Which?", {"first_user_turn": "Question: Which?"})


@pytest.mark.parametrize(
    ("turn", "thought", "code", "calls"),
    [
        ("Thought: one\ntwo\n\nthree\nAction: search[x]", "one\ntwo\n\nthree", "search[x]", {"query": "x"}),
        ("Thought 12: a\nAction 12: search[x]", "a", "search[x]", {"query": "x"}),
        ("carried on\nAction: search[x]", "carried on", "search[x]", {"query": "x"}),
        ("Action: search[x]", None, "search[x]", {"query": "x"}),
        ("Thought: a\nQuestion: b?\nAction: search[x]", "a\nQuestion: b?", "search[x]", {"query": "x"}),
        ("Thought: a\nAction: lookup[x]", "a", "lookup[x]", {"keyword": "x"}),
        ("Thought: a\nAction: Search[x]", "a", "Search[x]", {"query": "x"}),
        ("Thought: a\nAction: click[Buy now]", "a", "click[Buy now]", {"argument": "Buy now"}),
        ("Thought: a\nAction: search[]", "a", "search[]", {"query": ""}),
        ("Thought: a\nAction: search[f[0] and g]", "a", "search[f[0] and g]", {"query": "f[0] and g"}),
        ("Thought: a\nAction: search[a], search[b]", "a", "search[a], search[b]", {"query": "a], search[b"}),
        ("Thought: a\nAction: search[x [y]] to be sure", "a", "search[x [y]]", {"query": "x [y]"}),
        ("Thought: a\nAction: search[two\nlines]", "a", "search[two\nlines]", {"query": "two\nlines"}),
    ],
)
def test_actions_are_read_as_the_environments_read_them(
    turn: str, thought: str | None, code: str, calls: dict[str, str]
) -> None:
    step, parsed = step_of(turn)
    assert (step.completion, step.thought, step.code, step.error_kind) == (turn, thought, code, "none")
    assert [json.loads(call.arguments) for call in step.tool_calls] == [calls]
    assert json.loads(step.tool_calls[0].result or "") == "seen"
    assert parsed.losses == []


@pytest.mark.parametrize(
    ("turn", "code", "error"),
    [
        ("Thought: only thinking", None, "the turn has no action"),
        ("The lake is Lake Tamber.", None, "the turn has no action"),
        ("", None, "the turn has no action"),
        ("Thought: a\nAction: search[no end", "search[no end", 'came "search[no end"'),
        ("Thought: a\nAction: search for it", "search for it", 'came "search for it"'),
        ("Thought: a\nAction:", None, 'came ""'),
        ("Thought: a\nAction: finish[no end", "finish[no end", 'came "finish[no end"'),
    ],
)
def test_a_turn_without_a_readable_action_is_a_parse_error_of_the_step(turn: str, code: str | None, error: str) -> None:
    step, parsed = step_of(turn)
    assert (step.error_kind, step.code, step.tool_calls) == ("parse", code, [])
    assert error in (step.error or "")
    assert step.observation == "seen"
    assert (parsed.final_answer, parsed.stop_reason) == (None, "unknown")


def test_several_actions_in_one_turn_share_an_observation_that_belongs_to_none() -> None:
    step, parsed = step_of("Thought: both\nAction 1: search[a]\nAction 2: search[b]")
    assert step.code == "search[a]\nsearch[b]"
    assert [(json.loads(call.arguments), call.result) for call in step.tool_calls] == [
        ({"query": "a"}, None),
        ({"query": "b"}, None),
    ]
    assert parsed.losses == ["several actions in one turn (their observation is not told apart)"]


def test_a_search_beside_a_finish_has_no_result_of_its_own() -> None:
    step, parsed = step_of("Action 1: search[a]\nAction 2: finish[b]")
    assert (parsed.final_answer, [call.result for call in step.tool_calls]) == ("b", [None])


def test_an_observation_that_the_assistant_invents_ends_its_turn() -> None:
    turn = "Thought: a\nAction: search[x]\nObservation: made up\nThought: so\nAction: finish[y]"
    step, parsed = step_of(turn)
    assert (step.completion, step.code) == (turn, "search[x]")
    assert parsed.final_answer is None
    assert parsed.losses == ["observation that the assistant wrote itself (kept in completion only)"]


def test_of_several_finishes_the_last_one_counts() -> None:
    parsed = REACT.parse(chat("Action: finish[a]", "Observation: wrong", "Action: finish[b]"))
    assert parsed.final_answer == "b"
    assert [step.is_final for step in parsed.steps] == [False, True]


def test_a_last_turn_without_observation_has_none() -> None:
    step = REACT.parse(chat("Thought: a\nAction: search[x]")).steps[-1]
    assert (step.observation, step.tool_calls[0].result) == (None, None)


def test_system_prompt_and_the_fields_around_the_turns_are_kept() -> None:
    record = chat("Action: finish[a]")
    messages = record["messages"]
    assert isinstance(messages, list)
    messages.insert(0, {"role": "system", "content": "Use search and finish."})
    record |= {"id": 7, "model": "gpt-4", "answer": "a", "reward": 0.5, "cost": 0.01, "level": "hard", "note": None}
    parsed = REACT.parse(record)
    assert parsed.system_prompt == "Use search and finish."
    assert (parsed.source_id, parsed.model, parsed.answers) == ("7", "gpt-4", ["a"])
    assert (parsed.reward, parsed.cost_usd, parsed.metadata) == (0.5, 0.01, {"level": "hard"})


def test_user_turns_without_label_are_observations_and_named() -> None:
    parsed = REACT.parse(chat("Action: search[x]", "It ends in Lake Tamber."))
    assert parsed.steps[0].observation == "It ends in Lake Tamber."
    assert parsed.losses == ['user turn without "Observation:" kept as observation']


ONE_TEXT = """Question: Which lake?
Thought 1: The river first.
Still thinking.
Action 1: Search[Ostrel Bridge]
Observation 1: It spans the river Vennal.
It opened in 1912.
Thought 2: Done.
Action 2: Finish[Lake Tamber]
Observation 2: Episode finished, reward = 0
"""


@pytest.mark.parametrize("field", ["trajectory", "text"])
def test_an_episode_written_as_one_text_reads_like_a_chat(field: str) -> None:
    parsed = REACT.parse({field: ONE_TEXT})
    assert (parsed.question, parsed.final_answer, parsed.reward) == ("Which lake?", "Lake Tamber", 0.0)
    first, last = parsed.steps
    assert first.completion == "Thought 1: The river first.\nStill thinking.\nAction 1: Search[Ostrel Bridge]"
    assert (first.thought, first.code) == ("The river first.\nStill thinking.", "Search[Ostrel Bridge]")
    assert first.observation == "It spans the river Vennal.\nIt opened in 1912."
    assert (last.is_final, last.observation) == (True, "Episode finished, reward = 0")


def test_one_text_without_question_label_takes_what_stands_before_the_first_thought() -> None:
    parsed = REACT.parse({"text": "Which lake?\nThought: a\nThought: b\nAction: search[x]\nAction: finish[y]\n"})
    assert parsed.question == "Which lake?"
    assert [(step.thought, step.code) for step in parsed.steps] == [("a\nb", "search[x]\nfinish[y]")]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({}, 'expected "messages" or "conversations" with a list of messages, came an empty object'),
        ({"messages": "no"}, 'expected messages to be a list of objects, came the string "no"'),
        ({"messages": []}, "came an empty list"),
        ({"messages": [1]}, r"expected messages\[0\] to be an object, came the number 1"),
        ({"messages": [{"content": "x"}]}, r"expected messages\[0\] to have a role, came an object with .content."),
        ({"messages": [{"role": "tool", "content": "x"}]}, 'role system, user or assistant, came "tool"'),
        ({"messages": [{"role": "user", "content": 5}]}, r"messages\[0\].content to be text .* came the number 5"),
        ({"messages": [{"role": "user", "content": "q"}]}, "expected at least one assistant turn, came none"),
        ({"messages": [{"role": "assistant", "content": "Action: finish[x]"}]}, "expected a question"),
        ({"text": "Question: a\nThought: b\nQuestion: c"}, 'came a second question "c"'),
        ({"text": "nothing at all"}, "expected at least one assistant turn"),
    ],
)
def test_what_is_no_episode_is_a_record_error_that_says_why(record: dict[str, object], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        REACT.parse(record)
