"""What bears out the final answer: observed, computed, or written down from nowhere?"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from toolkit.contracts import Verdict
from toolkit.process.code import answered_literal, literal_text
from toolkit.process.episode import Action, Episode, excerpt
from toolkit.process.tracing import REFUSAL, observed_share, untraceable

SMALL_SHARE = 0.5
"""An answer of which fewer of its words were observed came from elsewhere; between this and all it is undecided."""


def grounded(episode: Episode) -> Iterator[Verdict]:
    """Whether the final answer was observed or computed.

    Observed: it stands, as whole words and as answers are compared, or as a number that rounds to it, in an observation
    or a tool's result before the end. Computed: the code gives `final_answer` anything but a literal. Value: 1, or the
    greatest share of the answer's words that one observation holds; below half it is not grounded, between half and
    all it is undecided. Where it is decided, the final step has the verdict as well.
    Undecided as well: yes and no, letters of options, refusals, what stands in the question. Not applicable without an
    answer. Not seen: whether the observation bears the answer out, or only mentions it.
    """
    answer, final = episode.trajectory.final_answer, episode.final
    if answer is None:
        yield Verdict(None, None, details={"not_applicable": "there is no final answer"})
        return
    verdict = _grounds(episode, answer, final)
    if final is not None and verdict.passed is not None:
        yield Verdict(verdict.value, verdict.passed, final.step.step_index, verdict.details)
    yield verdict


def hard_coded(episode: Episode) -> Iterator[Verdict]:
    """Whether the final answer is a literal of the code that was neither observed nor computed before.

    The literal is the argument of `final_answer`, or the one value that its name is bound to, outside of branches,
    loops and functions. It came from somewhere if the question or a tool's result holds it (as in `grounded`), or an
    observation of a step until which no literal of the code could have put it there. Value: 1 or 0; the final step has
    the verdict, too. Undecided: yes and no, letters of options; literals of which half of the words were observed.
    Does not count: answers put together by code; refusals. Not applicable: actions that are not Python (see
    `grounded`), no answer. Not seen: literals hidden in an expression, as in `final_answer(41 + 1)`.
    """
    final = episode.final
    if not episode.is_python or final is None or final.tree is None:
        yield Verdict(None, None, details={"not_applicable": "no Python code gives the answer"})
        return
    literal = answered_literal(episode.actions)
    if literal is None or literal.value is None:
        yield Verdict(0.0, True)
        return
    text = literal_text(literal)
    share = max(observed_share(text, [episode.question]), observed_share(text, _sources(episode, final, text)))
    excuse = untraceable(text, episode.question)
    if share == 1 or excuse == REFUSAL:
        yield Verdict(0.0, True)
    elif excuse is not None or share >= SMALL_SHARE:
        yield Verdict(None, None, details={"undecided": excuse or "part of it was observed", "literal": excerpt(text)})
    else:
        index = final.step.step_index
        details: dict[str, object] = {"literal": excerpt(text), "line": literal.lineno}
        yield Verdict(1.0, False, index, details)
        yield Verdict(1.0, False, details={**details, "step": index})


def _grounds(episode: Episode, answer: str, final: Action | None) -> Verdict:
    """The verdict on the whole."""
    best = 0.0
    for action in episode.actions:
        # What the final step printed stands there because of the answer, not before it.
        texts = [action.returned] if action is final else [action.returned, action.step.observation or ""]
        share = observed_share(answer, texts)
        if share == 1 and not untraceable(answer, ""):
            return Verdict(1.0, True, details={"observed_at": action.step.step_index})
        best = max(best, share)
    if final is not None and final.tree is not None and answered_literal(episode.actions) is None:
        return Verdict(1.0, True, details={"computed_at": final.step.step_index})
    excuse = untraceable(answer, episode.question)
    if excuse is not None:
        return Verdict(None, None, details={"undecided": excuse})
    if best >= SMALL_SHARE:
        return Verdict(best, None, details={"undecided": "part of it was observed", "answer": excerpt(answer)})
    return Verdict(best, False, details={"answer": excerpt(answer), "steps_before": len(episode.actions) - 1})


def _sources(episode: Episode, final: Action, text: str) -> Iterator[str]:
    """Texts that the literal `text` may come from."""
    put_there = False
    for action in episode.actions:
        yield action.returned
        put_there = put_there or _puts_there(action, text)
        if action is not final and not put_there:
            yield action.step.observation or ""


def _puts_there(action: Action, text: str) -> bool:
    """Whether code could show `text` by printing a literal; arguments of other calls are not printed."""
    if action.tree is None or not observed_share(text, [action.step.code or ""]):
        return False
    open_nodes: list[ast.AST] = [action.tree]
    while open_nodes:
        node = open_nodes.pop()
        if isinstance(node, ast.Constant):
            if observed_share(text, [literal_text(node)]) == 1:
                return True
        elif not isinstance(node, ast.Call) or (isinstance(node.func, ast.Name) and node.func.id in ("print", "str")):
            open_nodes += ast.iter_child_nodes(node)
    return False
