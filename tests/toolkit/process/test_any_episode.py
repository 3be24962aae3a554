"""Whatever a model wrote, every signal has one word on the whole, fit to be stored, and none on steps that are not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged_episodes import call, code, episode, finish, search

from schemas.identity import canonical_json
from toolkit.process.episode import Episode
from toolkit.process.signals import SIGNALS

HOSTILE = [
    'final_answer("\\ud800")',
    "final_answer(" + "1+" * 3000 + "1)",
    "final_answer(0x" + "f" * 9000 + ")",
    f"x = {10**400} + 0x{'f' * 9000}\nfinal_answer(1e999)",
    "final_answer(*[1], **{})",
    "final_answer()",
    "final_answer(final_answer(1))",
    "(" * 150 + ")" * 150,
    "web_search(*a)\nweb_search({1, 2})\nweb_search(b'x')\nweb_search('\\ud800')",
    "print = 3\nprint(print)",
    "\x00",
    "match x:\n    case 1: pass",
    "lambda: (yield)",
]
TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)


def check(judged: Episode) -> None:
    indices = {action.step.step_index for action in judged.actions}
    for signal in SIGNALS.values():
        verdicts = list(signal.verdicts(judged))
        assert [verdict.step_index for verdict in verdicts].count(None) == 1
        assert {verdict.step_index for verdict in verdicts} <= {None, *indices}
        assert len({verdict.step_index for verdict in verdicts}) == len(verdicts)
        for verdict in verdicts:
            canonical_json(verdict.details).encode()


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_code_gets_one_verdict_a_signal(text: str) -> None:
    check(episode("q", code(text, "out", thought="I search for Ostrel: 12 * 34."), code("final_answer(x)"), answer="1"))


def test_deep_arguments_are_read() -> None:
    judged = episode("q", search("a", "x"), finish("b"), answer="b")
    judged.actions[0].calls = [judged.actions[0].calls[0].model_copy(update={"arguments": "[" * 900 + "1" + "]" * 900})]
    check(judged)


@settings(max_examples=60, deadline=None)
@given(TEXTS, TEXTS, TEXTS, TEXTS, TEXTS)
def test_any_text_gets_one_verdict_a_signal(question: str, thought: str, text: str, seen: str, answer: str) -> None:
    first = code(f"print(search({text!r}))", seen, thought=thought)
    first.tool_calls = [call(text, seen)]
    check(episode(f"q{question}", first, code(text, seen), code(f"final_answer({answer!r})"), answer=answer))
    check(episode(f"q{question}", search(text, seen, thought=thought), finish(answer), answer=answer))
