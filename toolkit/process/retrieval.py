"""What became of what was retrieved: texts that were asked for and never used."""

from __future__ import annotations

import re
from collections.abc import Iterator

from schemas import ToolCall
from toolkit.contracts import Verdict
from toolkit.process.code import only_shown
from toolkit.process.episode import Action, Episode, arguments_text, excerpt, result_text, stems, words

SAME_NEED = 0.75
"""Thoughts that have this share of their words in common state the same need."""
_EMPTY = re.compile(
    r"\W*(no (passage|result|article|page|match|information)|nothing|could not find|not found|none\b|null\b)",
    re.IGNORECASE,
)
_DISMISSED = re.compile(
    r"(?:\b(?:not|no|nor|without|fail\w*|unable|irrelevant|unrelated|unclear|ambiguous)\b|n['’]t\b)[^.!?,]{0,60}?\b"
    r"(?:provid|giv|find|found|get\b|got\b|return|yield|specif|mention|contain|answer|relevan|help|useful|confirm|clear|"
    r"show|know|information|result|what i (?:need|want))",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s")


def unused_retrieval(episode: Episode) -> Iterator[Verdict]:
    """Retrieved texts of which nothing is used afterwards.

    Retrieval is a call of a tool whose declared effect is `read`, or, where tools are not declared, whose name says so.
    Its text is used if a later thought, action or the final answer has a word or number of it that the agent had not
    written and the question does not hold, or one of the question's that the call did not ask for (words by their first
    five letters), or if the code does anything with it but print it. If not, it is unused on one of three grounds:

    - `dismissed`: the next thought says first that it does not help;
    - `asked again`: the next step that retrieves states the same need, and asks for the same or for more;
    - `off topic`: neither it nor the request shares a word with the question or with anything that comes later, and
      the request none with what was read before.

    Otherwise undecided: the text may have borne out what the agent thought. Undecided as well after the last step.
    Value: unused retrievals, of a step or the whole. Does not count: failed calls, results that say that nothing was
    found or that hold no new word.
    """
    later = _later_stems(episode)
    written, read = frozenset[str](), frozenset[str]()
    total, open_calls = 0, 0
    for position, action in enumerate(episode.actions):
        written |= stems(action.said)
        grounds = [
            (call, text, _ground(episode, position, call, read, later[position]))
            for call in action.calls
            if (text := result_text(call) if episode.is_retrieval(call) else None) is not None
            if not _is_used(episode, position, call, text, written, later[position])
        ]
        read |= stems(f"{action.returned}\n{action.step.observation or ''}")
        unused = [_evidence(call, text, ground) for call, text, ground in grounds if ground is not None]
        undecided = len(grounds) - len(unused)
        if grounds:
            passed = False if unused else None
            yield Verdict(float(len(unused)), passed, action.step.step_index, _details(unused, undecided))
        total, open_calls = total + len(unused), open_calls + undecided
    decided = total > 0 or not open_calls
    yield Verdict(float(total), total == 0 if decided else None, details=_details([], 0 if decided else open_calls))


def _is_used(
    episode: Episode, position: int, call: ToolCall, text: str, written: frozenset[str], later: frozenset[str]
) -> bool:
    """Whether what was retrieved shows up in what comes `later`, or there was nothing to use."""
    if _EMPTY.match(text):
        return True
    asked, told, request = stems(episode.question), stems(text), stems(arguments_text(call))
    novel = told - asked - written - request
    useful = novel | ((told & asked) - request)
    return not novel or bool(useful & later) or not only_shown(episode.actions, position, call.name)


def _ground(episode: Episode, position: int, call: ToolCall, read: frozenset[str], later: frozenset[str]) -> str | None:
    """Why the text that a call got counts as unused. None: it may have been used in silence."""
    before, following = episode.actions[position], episode.actions[position + 1 :]
    if not following:
        return None
    if _DISMISSED.search(_SENTENCE.split(_thought(following[0]).strip())[0]):
        return "dismissed"
    told, request = stems(result_text(call) or ""), stems(arguments_text(call))
    if _asked_again(episode, before, following, request):
        return "asked again"
    # A name in the request that was read before ties it to the topic, also if only its answer is used.
    tied = (told | request) & (stems(episode.question) | later) or request & read
    return "off topic" if later and not tied else None


def _asked_again(episode: Episode, before: Action, following: list[Action], request: frozenset[str]) -> bool:
    for action in following:
        asked = [arguments_text(call) for call in action.calls if episode.is_retrieval(call)]
        if asked:
            need, next_need = words(_thought(before)), words(_thought(action))
            alike = bool(next_need) and len(need & next_need) >= SAME_NEED * len(need | next_need)
            return alike and request <= stems(" ".join(asked))
    return False


def _evidence(call: ToolCall, text: str, ground: str) -> dict[str, object]:
    return {"tool": call.name, "asked": excerpt(arguments_text(call)), "told": excerpt(text), "ground": ground}


def _details(unused: list[dict[str, object]], undecided: int) -> dict[str, object]:
    details: dict[str, object] = {"calls": unused} if unused else {}
    if undecided:
        details["undecided"] = f"{undecided} may have borne out what the agent thought"
    return details


def _later_stems(episode: Episode) -> list[frozenset[str]]:
    """For each step, the words that the agent writes after it, its answer included."""
    later: list[frozenset[str]] = []
    so_far = stems(episode.trajectory.final_answer or "")
    for action in reversed(episode.actions):
        later.append(so_far)
        so_far = so_far | stems(action.said)
    return later[::-1]


def _thought(action: Action) -> str:
    return action.step.thought or action.step.completion
