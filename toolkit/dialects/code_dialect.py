"""What the agents' dialects share: prompts, and turns that are a thought and a block of Python code.

A subclass says how code is marked and how an outcome is shown. Invariants: `parse(render(thought,
code))` gives thought and code back, and `render` refuses what would not; templates are tried out
when a dialect is loaded, so that a mistake in one stops before anything is spent.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from schemas import Role
from toolkit.contracts import Identity, Outcome, ParsedAction, Tool
from toolkit.dialects import turns
from toolkit.dialects.observations import MIN_LIMIT
from toolkit.dialects.parsing import Marks, parse_turn
from toolkit.dialects.prompts import Prompts
from toolkit.errors import InputError

DEFAULT_MAX_STEPS = 5


class CodeDialect(ABC):
    """A `toolkit.contracts.Dialect` whose actions are Python code.

    Args:
        templates_dir: a directory with the user's own templates. None: the shipped ones.
        max_steps: how many steps the prompts promise; from 1.
        observation_chars: the most characters of an outcome that are shown. None: the dialect's default.

    Raises:
        InputError: a template or a number is wrong.
    """

    name: str
    version: str
    """Raised with every change of `parse`, `observation` or the labels of turns; templates are hashed instead."""
    stop: tuple[str, ...]
    marks: ClassVar[tuple[Marks, ...]]
    """How code is marked: what the prompts ask for first, then what is understood as well."""
    default_observation_chars: ClassVar[int]

    def __init__(
        self,
        templates_dir: Path | None = None,
        *,
        max_steps: int = DEFAULT_MAX_STEPS,
        observation_chars: int | None = None,
    ) -> None:
        self.max_steps = max_steps
        self.observation_chars = observation_chars if observation_chars is not None else self.default_observation_chars
        if max_steps < 1:
            raise InputError(f"expected at least 1 step, came {max_steps}")
        if self.observation_chars < MIN_LIMIT:
            raise InputError(f"expected at least {MIN_LIMIT} characters an observation, came {self.observation_chars}")
        self._prompts = Prompts(templates_dir, {"printed": self._show_printed, "failed": self._show_error})
        self.identity()
        for tools in ((), (_SEARCH,), (_SEARCH, _OTHER)):
            self.teacher_prompt(tools)
            self.student_prompt(tools)

    def identity(self, role: Role | None = None) -> Identity:
        """What changes the turns of `role`: name, version, limits and the hashes of its templates.

        None: of both roles. A teacher's ids should not change when the student's template does.
        """
        roles = (role,) if role else ("teacher", "student")
        return {
            "name": self.name,
            "version": self.version,
            "max_steps": self.max_steps,
            "observation_chars": self.observation_chars,
            "templates": self._prompts.hashes(f"{self.name}_{role}" for role in roles),
        }

    def teacher_prompt(self, tools: Sequence[Tool]) -> str:
        """System prompt with worked examples."""
        return self._prompt("teacher", tools)

    def student_prompt(self, tools: Sequence[Tool]) -> str:
        """Short system prompt."""
        return self._prompt("student", tools)

    def task_turn(self, question: str) -> str:
        """User turn that puts the question."""
        return turns.task_turn(self.name, question)

    def instructed_task_turn(self, question: str, first_thought: str) -> str:
        """User turn that puts the question and asks for `first_thought`: for models that cannot continue a prefix."""
        return f"{self.task_turn(question)}\n\n{turns.first_thought_instruction(first_thought)}"

    def observation_turn(self, observation: str) -> str:
        """User turn that shows an observation."""
        return turns.observation_turn(self.name, observation)

    def prefix(self, first_thought: str) -> str:
        """Beginning of the assistant turn that forces `first_thought`."""
        return f"Thought: {first_thought}"

    def parse(self, completion: str) -> ParsedAction:
        """Thought and action of a whole turn, or advice on what is wrong with it; never raises."""
        return parse_turn(completion, self.marks)

    def render(self, thought: str | None, code: str) -> str:
        """The turn that says `thought` and `code`, as a well-trained model writes it.

        Raises:
            ValueError: no turn says exactly that, for example because the code holds a closing mark.
        """
        completion = self._write(thought, code)
        if self.parse(completion) != ParsedAction(thought, code):
            raise ValueError(f"{self.name} cannot say this turn so that it is understood: {completion!r}")
        return completion

    @abstractmethod
    def observation(self, outcome: Outcome) -> tuple[str, int]:
        """What the model is shown of an outcome, and how many characters were left out."""

    @abstractmethod
    def parse_error(self, action: ParsedAction) -> str:
        """What the model is shown when its completion could not be parsed."""

    @abstractmethod
    def _write(self, thought: str | None, code: str) -> str: ...

    def _prompt(self, role: Role, tools: Sequence[Tool]) -> str:
        return self._prompts.render(f"{self.name}_{role}", tools=list(tools), max_steps=self.max_steps)

    def _show_printed(self, text: str) -> str:
        """Filter for examples: the turn that follows an action which printed `text`."""
        return self._show(Outcome(ok=True, stdout=f"{text.strip()}\n"))

    def _show_error(self, text: str) -> str:
        """Filter for examples: the turn that follows an action which failed with the message `text`."""
        return self._show(Outcome(ok=False, error_kind="execution", error=text.strip()))

    def _show(self, outcome: Outcome) -> str:
        return self.observation_turn(self.observation(outcome)[0]).strip() + "\n"


async def _not_called(**arguments: object) -> object:
    raise AssertionError(f"a tool that only fills templates was called with {arguments}")


_SEARCH = Tool("web_search", "web_search(query: str) -> str", "Searches.\n\nArgs:\n    query: words.", _not_called)
_OTHER = Tool("other", "other(x: int) -> int", "", _not_called)
