"""The oracle teacher: a scripted model that follows a task's gold plan, and knows only what it has read.

It is an `LLM` like any other: it reads the messages of a request and writes one turn. It may
state the result of a lookup only if that text stands in an observation that it has received;
what retrieval does not find, it does not know. The one exception is asked for: with `recall`, its chains
of thought state that share of all facts from memory, as those of a large model do, for chain-of-thought
distillation has nothing to teach otherwise. A set share of its turns slip as real models do:
a query that misses, code that does not run, a turn without code, a wrong last step.
Invariant: its answers depend on seed, question and messages only, never on timing.
Not covered: language. Its thoughts are templates; what it can show is mechanism, not style.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from schemas import Task
from toolkit.contracts import ChatMessage, Completion, CompletionRequest, Identity
from toolkit.dialects.code_dialect import CodeDialect
from toolkit.errors import InputError, ModelError
from toolkit.tasks.oracle_answers import Facts, UnknownError, answer_code, read_facts
from toolkit.tasks.oracle_chain import chain_of_thought, ending, learned, outlook
from toolkit.tasks.plan import Compare, Compute, Lookup, Plan

VERSION = "4"
UNKNOWN = "unknown"
SEARCHES_A_STEP = 3
_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class _Known:
    """A question that the oracle has a plan for."""

    task_id: str
    plan: Plan


class OracleTeacher:
    """Follows the plans of `tasks`.

    Args:
        tasks: what it has plans of.
        dialect: how it speaks as an agent.
        slips: share of turns that go wrong, in [0, 1].
        seed: of slips and wordings.
        recall: share of facts that chains of thought state from memory, in [0, 1].
    """

    name = "oracle"

    def __init__(
        self, tasks: Iterable[Task], dialect: CodeDialect, *, slips: float = 0.1, seed: int = 0, recall: float = 0.0
    ) -> None:
        for what, share in (("slips", slips), ("recall", recall)):
            if not 0 <= share <= 1:
                raise InputError(f"{what} is a share between 0 and 1, got {share}")
        self._dialect, self._slips, self._seed, self._recall = dialect, slips, seed, recall
        self._known = {task.question: _known(task) for task in tasks}

    @property
    def identity(self) -> Identity:
        """Version, slips and seed; recall where there is any."""
        recall = {"recall": self._recall} if self._recall else {}
        return {"model": self.name, "revision": VERSION, "slips": self._slips, "seed": self._seed, **recall}

    async def prepare(self, *, prefix: bool) -> None:
        """Always ready; it continues any prefix."""

    async def close(self) -> None:
        """Nothing to let go of."""

    async def complete(self, request: CompletionRequest) -> list[Completion]:
        """`request.n` turns.

        Raises:
            ModelError: the question has no plan.
        """
        known = self._find(request.messages)
        texts = [self._turn(request, known, sample) for sample in range(request.n)]
        read = sum(_tokens(message.content) for message in request.messages)
        return [
            Completion(text, prompt_tokens=read if sample == 0 else None, completion_tokens=_tokens(text))
            for sample, text in enumerate(texts)
        ]

    def _find(self, messages: Sequence[ChatMessage]) -> _Known:
        turn = next(message.content for message in messages if message.role == "user")
        for question in (turn, turn.rsplit("Question: ", 1)[-1].strip(), turn.split("\n", 1)[-1]):
            if question in self._known:
                return self._known[question]
        raise ModelError(f"the oracle has no plan for the question {turn[-200:]!r}")

    def _turn(self, request: CompletionRequest, known: _Known, sample: int) -> str:
        received = [message.content for message in request.messages if message.role == "user"]
        written = [message.content for message in request.messages if message.role == "assistant"]
        draw = random.Random(f"{self._seed}:{known.task_id}:{request.seed}:{sample}:{len(written)}")
        system = "".join(message.content for message in request.messages if message.role == "system")
        if "final_answer" not in system:
            return chain_of_thought(known.plan, received[0], draw, self._slips, self._remembers)
        facts = read_facts(known.plan, "\n".join(received[1:]))
        thought, code = self._act(known.plan, facts, "\n".join(written), draw)
        thought = " ".join([*learned(known.plan, facts, "\n".join(written)), thought])
        return self._say(request.prefix, thought, code, draw)

    def _remembers(self, lookup: Lookup) -> bool:
        """Whether a fact is remembered: of the same fact always the same."""
        return random.Random(f"{self._seed}:{lookup.title}:{lookup.answer}").random() < self._recall

    def _act(self, plan: Plan, facts: Facts, written: str, draw: random.Random) -> tuple[str, str]:
        """Thought and code of the next step."""
        open_lookups = [lookup for lookup in facts.open if _untried(lookup, facts, written)]
        if facts.open and not open_lookups:
            return "No search has found what is missing, so I cannot know the answer.", f'final_answer("{UNKNOWN}")'
        if open_lookups:
            thought, code = self._search(open_lookups[:SEARCHES_A_STEP], facts, written, draw)
            return f"{thought} {outlook(plan, facts, open_lookups[SEARCHES_A_STEP:])}", code
        try:
            code = answer_code(plan, facts)
        except UnknownError:
            return "I cannot know the answer.", f'final_answer("{UNKNOWN}")'
        if draw.random() < self._slips / 2:
            known, code = "I have what I need.", _wrong_ending(plan, facts, draw)
        else:
            known = draw.choice(("I have what I need.", "Everything that is needed is known now."))
        end = ending(plan) if plan.lookups else None
        return f"Now I {end}." if end else known, code

    def _search(self, lookups: list[Lookup], facts: Facts, written: str, draw: random.Random) -> tuple[str, str]:
        queries = [_untried(lookup, facts, written)[0] for lookup in lookups]
        asked = " ".join(facts.fill(lookup.question) for lookup in lookups)
        thought = draw.choice(("I need to find out: {}", "Still missing: {}", "I search for this: {}")).format(asked)
        if draw.random() < self._slips / 2:
            queries = [" ".join(query.split()[:2]) for query in queries]
        if len(queries) == 1:
            return thought, f"print(web_search({queries[0]!r}))"
        listed = ", ".join(repr(query) for query in queries)
        return thought, f"for query in ({listed}):\n    print(web_search(query))"

    def _say(self, prefix: str | None, thought: str, code: str, draw: random.Random) -> str:
        """The turn in the dialect's form, as a continuation of `prefix` if there is one."""
        if draw.random() < self._slips / 2:
            if draw.random() < 0.5:
                return f" {thought}" if prefix else f"Thought: {thought}"
            code = code.replace("print(", "prnt(", 1).replace("final_answer(", "finalanswer(", 1)
        forced = None if prefix is None else prefix.removeprefix(self._dialect.prefix(""))
        turn = self._dialect.render(thought if forced is None else forced, code)
        return turn if prefix is None else turn.removeprefix(prefix)


def _known(task: Task) -> _Known:
    if task.plan is None:
        raise InputError(f"the oracle needs a plan, and the question {task.question!r} has none; name another model")
    return _Known(task.task_id, Plan.model_validate_json(task.plan))


def _untried(lookup: Lookup, facts: Facts, written: str) -> list[str]:
    """Ways to search for a lookup that have not been written yet, best first."""
    ways = [lookup.query, lookup.question, *([lookup.subject] if lookup.subject else [])]
    filled = dict.fromkeys(facts.fill(way) for way in ways)
    return [query for query in filled if repr(query) not in written]


def _wrong_ending(plan: Plan, facts: Facts, draw: random.Random) -> str:
    """A last step that goes wrong: an intermediate result, or a number that is off."""
    last = plan.operations[-1]
    if isinstance(last, Compute):
        return f"final_answer({facts.fill(last.expression)} + {draw.randint(1, 9)})"
    if isinstance(last, Compare):
        losers = [label for label in map(facts.fill, last.labels) if label != last.answer]
        return f"final_answer({losers[0]!r})"
    others = [result for result in facts.results if result and result != last.answer]
    return f"final_answer({(others[0] if others else UNKNOWN)!r})"


def _tokens(text: str) -> int:
    """Words and marks: the oracle has no tokenizer."""
    return len(_WORD.findall(text))
