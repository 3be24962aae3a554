"""One trajectory, run again: is every step observed as it was recorded?

    matches     what is observed now is what was recorded
    differs     it is not, and nothing in the program explains that: the record is wrong, or was made otherwise
    varies      it is not, and the program says why it may differ each time (`chance`)
    unrecorded  it is not, and it called a tool whose result the record does not hold
    stopped     a limit ended the action, then or now, which depends on the machine; it is not compared

Compared are the observation, the final answer, and the calls of tools with their arguments. A turn that could not be
parsed is parsed again. An action that a limit had ended is not run again, for it left no trace in the session; its
observation is compared with its recorded error. Of actions that ran elsewhere (imports) spaces at the ends of lines,
addresses and the words of errors are not compared, and a program that only one interpreter refuses is no mismatch.

Invariant: no tool is called and no model asked; what is written are verdicts, never rows of the trajectory.
Not covered: whether the completion says the code; actions that are not Python.
"""

from __future__ import annotations

import ast
import builtins
import difflib
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from schemas import Step
from schemas.identity import canonical_json
from toolkit.contracts import Outcome, Session
from toolkit.dialects.code_dialect import CodeDialect
from toolkit.lake.records import TrajectoryRecord
from toolkit.replay.chance import Foreseen
from toolkit.replay.recorded_tools import RecordedTools, arguments_of
from toolkit.sandbox.child.output import without_addresses

StepVerdict = Literal["matches", "differs", "varies", "unrecorded", "stopped"]
LIMITS = ("timeout", "sandbox", "denied")
"""Kinds of errors of actions that something outside of them ended."""
DIFF_CHARS = 2_000
"""Longest diff that is kept."""
PYTHON = platform.python_version()
"""Sessions run the interpreter that we run."""
_AROUND = 100
"""Characters shown before and behind the first difference of long lines."""


@dataclass(frozen=True, slots=True)
class StepReplay:
    """What became of one step."""

    step_index: int
    verdict: StepVerdict
    because: tuple[str, ...] = ()
    """Why it may differ. Empty: it may not."""
    diff: str | None = None
    """Unified, from what was recorded to what is observed now. None: equal, or not compared."""


class TrajectoryReplay:
    """The steps of one trajectory, run again in their order in a session of their own.

    Args:
        record: The trajectory.
        dialect: The one that worded its observations.
        session: A fresh one.
        tools: Those of the session's sandbox.
        python: Version that ran it then. None: not known.
    """

    def __init__(
        self,
        record: TrajectoryRecord,
        dialect: CodeDialect,
        session: Session,
        tools: RecordedTools,
        python: str | None = None,
    ) -> None:
        self._record, self._dialect, self._session, self._tools = record, dialect, session, tools
        self._ours = ran_here(record)
        is_other = self._ours and python is not None and _release(python) != _release(PYTHON)
        self._other_python = python if is_other else None
        self._foreseen = Foreseen(seeded=self._ours)
        tools.begin(record)

    async def step(self, step: Step) -> StepReplay | None:
        """Run the next step. None: an import did not parse it, so that there is nothing to compare."""
        if step.error_kind in LIMITS:
            # So that errors of later actions count the actions as they did.
            await self._session.run("")
            return self._ended_then(step)
        if step.code is None:
            return self._parsed_again(step) if self._ours else None
        self._tools.as_recorded(step.step_index)
        outcome = await self._session.run(step.code)
        missing = () if self._ours else self._tools.unanswered
        failed = not outcome.ok or step.error is not None
        because = self._foreseen.step(step.code, failed=failed, unanswered=missing)
        then, now = self._told(step), self._seen(step, outcome)
        if then == now or self._fails_likewise(step, outcome):
            return StepReplay(step.step_index, "matches", because)
        found = _diff(then, now)
        if failed and self._other_python is not None:
            because += (f"interpreter: errors as Python {self._other_python} words them",)
        if not self._ours and not missing and (step.error is None) != (outcome.error is None):
            because += ("interpreter: only one of the two refused it",)
        if outcome.error_kind in LIMITS:
            return StepReplay(step.step_index, "stopped", (f"{outcome.error_kind}: {outcome.error}",), found)
        if not because:
            return StepReplay(step.step_index, "differs", (), found)
        is_missing = all(reason.startswith("tool: ") for reason in because)
        return StepReplay(step.step_index, "unrecorded" if is_missing else "varies", because, found)

    def _ended_then(self, step: Step) -> StepReplay:
        outcome = Outcome(ok=False, error_kind=step.error_kind, error=step.error)
        then, now = step.observation or "", self._dialect.observation(outcome)[0]
        if self._ours and then != now:
            return StepReplay(step.step_index, "differs", (), _diff(then, now))
        return StepReplay(step.step_index, "stopped", (f"{step.error_kind}: {step.error}",))

    def _parsed_again(self, step: Step) -> StepReplay:
        action = self._dialect.parse(step.completion)
        now = self._dialect.parse_error(action) if action.code is None else f"(it says an action)\n{action.code}"
        then = step.observation or ""
        if then == now:
            return StepReplay(step.step_index, "matches")
        return StepReplay(step.step_index, "differs", (), _diff(then, now))

    def _told(self, step: Step) -> str:
        answer = self._record.trajectory.final_answer if step.is_final else None
        calls = [(call.name, arguments_of(call)) for call in self._record.calls_of(step.step_index)]
        return self._text(step.observation, step.is_final, answer, calls)

    def _seen(self, step: Step, outcome: Outcome) -> str:
        told = not outcome.is_final or step.observation is not None
        observation = self._dialect.observation(outcome)[0] if told else None
        calls = [(use.name, canonical_json(use.arguments)) for use in outcome.tool_uses]
        if not self._ours and not self._record.calls_of(step.step_index):
            calls = []  # programs that ran elsewhere come without their calls
        return self._text(observation, outcome.is_final, outcome.final_answer, calls)

    def _text(self, observation: str | None, is_final: bool, answer: str | None, calls: list[tuple[str, str]]) -> str:
        parts = [observation] if observation is not None else []
        parts += [f"final_answer: {answer}"] if is_final else []
        text = "\n".join([*parts, *(f"call of {name}: {arguments}" for name, arguments in calls)])
        return text if self._ours else "\n".join(line.rstrip() for line in without_addresses(text).strip().split("\n"))

    def _fails_likewise(self, step: Step, outcome: Outcome) -> bool:
        return not self._ours and step.error is not None and outcome.error is not None and not self._tools.unanswered


def _release(python: str) -> list[str]:
    return python.split(".")[:2]


def ran_here(record: TrajectoryRecord) -> bool:
    """Whether its actions ran in the toolkit's own sandbox, where chance starts from one seed."""
    return record.trajectory.source != "imported"


def called_but_unbound(codes: Iterable[str]) -> set[str]:
    """Names that programs call and that nothing in them, nor Python, defines: tools that no record tells of."""
    called: set[str] = set()
    defined = {*vars(builtins), "final_answer"}
    for code in codes:
        try:
            nodes = list(ast.walk(ast.parse(code)))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        called |= {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
        defined |= {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
        defined |= {node.arg for node in nodes if isinstance(node, ast.arg)}
        defined |= {node.asname or node.name for node in nodes if isinstance(node, ast.alias)}
        kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        defined |= {node.name for node in nodes if isinstance(node, kinds)}
    return called - defined


def _diff(then: str, now: str) -> str:
    lines = list(difflib.unified_diff(then.split("\n"), now.split("\n"), "recorded", "now", lineterm="", n=1))
    text = "\n".join(lines)
    if len(text) <= DIFF_CHARS:
        return text
    start = next((i for i, (a, b) in enumerate(zip(then, now, strict=False)) if a != b), min(len(then), len(now)))
    shown = slice(max(0, start - _AROUND), start + _AROUND)
    cut = difflib.unified_diff(then[shown].split("\n"), now[shown].split("\n"), "recorded", "now", lineterm="", n=1)
    return f"at character {start:,}:\n" + "\n".join(cut)
