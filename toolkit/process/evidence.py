"""What became of what was observed: retrieved texts that nobody used, answers that nothing bears out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from toolkit.contracts import Verdict
from toolkit.process.code import answered_literal, only_shown
from toolkit.process.episode import Action, Episode, arguments_text, excerpt, phrase, result_text, words

CLOSED = frozenset({"yes", "no", "true", "false", "unknown", "none", "not sure", "i dont know", ""})
"""Answers that no observation need hold word for word, and refusals."""
_EMPTY = re.compile(
    r"\W*(no (passage|result|article|page|match|information)|nothing|could not find|not found|none\b|null\b)",
    re.IGNORECASE,
)
SMALL_SHARE = 0.5
"""An answer of which fewer of its words were observed is not grounded; between this and all it is undecided."""


def unused_retrieval(episode: Episode) -> Iterator[Verdict]:
    """Retrieved texts of which nothing is used afterwards.

    Retrieval is a call of a tool whose declared effect is `read`, or, where tools are not declared, whose name says so.
    Its text is used if a later thought, action or the final answer has a word or number of it that the agent had not
    written and the question does not hold, or one of the question's that the call did not ask for. It is also used if
    the code does anything with it but print it. Value: unused retrievals.
    Does not count: failed calls, results that say that nothing was found or hold no new word. Not seen: use without a
    word of it ("the second one is older"), so that a single accusation is a hint, and a share of them a finding.
    """
    asked, written = words(episode.question), set[str]()
    later = _later_words(episode)
    total = 0
    for position, action in enumerate(episode.actions):
        written = written | action.said_words
        unused = []
        for call in action.calls:
            text = result_text(call) if episode.is_retrieval(call) else None
            if text is None or _EMPTY.match(text):
                continue
            told, request = words(text), words(arguments_text(call))
            novel = told - asked - written - request
            useful = novel | ((told & asked) - request)
            if novel and not useful & later[position] and only_shown(episode.actions, position, call.name):
                unused.append({"tool": call.name, "asked": excerpt(arguments_text(call)), "told": excerpt(text)})
        if unused:
            total += len(unused)
            yield Verdict(float(len(unused)), False, action.step.step_index, {"calls": unused})
    yield Verdict(float(total), total == 0)


def grounded(episode: Episode) -> Iterator[Verdict]:
    """Whether the final answer was observed or computed.

    Observed: it stands, as whole words and as answers are compared, in an observation or a tool's result before the
    end. Computed: the code gives `final_answer` anything but a literal. Value: 1, or the greatest share of the answer's
    words that one observation holds; below half it is not grounded, between half and all it is undecided.
    Undecided as well: yes, no and refusals; an answer that stands in the question (a choice among what is given).
    Not applicable without an answer. Not seen: whether the observation bears the answer out, or only mentions it.
    """
    answer, final = episode.trajectory.final_answer, episode.final
    if answer is None:
        yield Verdict(None, None, details={"not_applicable": "there is no final answer"})
        return
    key = phrase(answer)
    if key.strip() in CLOSED:
        yield Verdict(None, None, details={"undecided": "an answer of this kind need not be observed word for word"})
        return
    before = [action for action in episode.actions if action is not final]
    where = next((action for action in before if key in action.seen or key in action.returned), None)
    if where is not None or (final is not None and key in final.returned):
        index = where.step.step_index if where is not None else _index(final)
        yield Verdict(1.0, True, details={"observed_at": index})
    elif final is not None and final.tree is not None and answered_literal(episode.actions) is None:
        yield Verdict(1.0, True, details={"computed_at": _index(final)})
    elif key in phrase(episode.question):
        yield Verdict(None, None, details={"undecided": "the answer stands in the question"})
    else:
        share = _share(key, [f"{action.seen}{action.returned}" for action in before])
        passed = None if SMALL_SHARE <= share < 1 else share == 1
        yield Verdict(share, passed, details={"answer": excerpt(answer), "observations": len(before)})


def hard_coded(episode: Episode) -> Iterator[Verdict]:
    """Whether the final answer is a literal of the code that was neither observed nor computed before.

    The literal is the argument of `final_answer`, or the one value that its name is bound to, outside of branches,
    loops and functions. It came from somewhere if the question or a tool's result holds it, or an observation of a
    step until which no literal of the code could have put it there. Value: 1 or 0; the final step has the verdict, too.
    Does not count: answers put together by code; refusals. Undecided: yes and no. Not applicable: actions that are not
    Python (see `grounded`), no answer. Not seen: literals hidden in an expression, as in `final_answer(41 + 1)`.
    """
    final = episode.final
    if not episode.is_python or final is None or final.tree is None:
        yield Verdict(None, None, details={"not_applicable": "no Python code gives the answer"})
        return
    literal = answered_literal(episode.actions)
    key = phrase(str(literal.value)) if literal is not None else ""
    if key.strip() in {"yes", "no", "true", "false"}:
        yield Verdict(None, None, details={"undecided": "yes and no cannot be traced"})
    elif literal is None or key.strip() in CLOSED or _has_source(episode, final, key):
        yield Verdict(0.0, True)
    else:
        details: dict[str, object] = {"literal": excerpt(str(literal.value)), "line": literal.lineno}
        yield Verdict(1.0, False, _index(final), details)
        yield Verdict(1.0, False, details={**details, "step": _index(final)})


def _has_source(episode: Episode, final: Action, key: str) -> bool:
    if key in phrase(episode.question):
        return True
    put_there = False
    for action in episode.actions:
        if key in action.returned:
            return True
        put_there = put_there or any(key in phrase(text) for text in _stated(action))
        if action is not final and key in action.seen and not put_there:
            return True
    return False


def _stated(action: Action) -> Iterator[str]:
    """Literals of the code that could show up in observations by being printed: not the arguments of other calls."""
    if action.tree is not None:
        yield from _free_literals(action.tree)


def _free_literals(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant):
        yield str(node.value)
    if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id in ("print", "str")):
        return
    for child in ast.iter_child_nodes(node):
        yield from _free_literals(child)


def _later_words(episode: Episode) -> list[set[str]]:
    """For each step, the words that the agent writes after it, its answer included."""
    later: list[set[str]] = []
    so_far = words(episode.trajectory.final_answer or "")
    for action in reversed(episode.actions):
        later.append(so_far)
        so_far = so_far | action.said_words
    return later[::-1]


def _share(key: str, texts: list[str]) -> float:
    wanted = words(key) or set(key.split())
    return max((len(wanted & set(text.split())) / len(wanted) for text in texts), default=0.0) if wanted else 0.0


def _index(action: Action | None) -> int | None:
    return action.step.step_index if action is not None else None
