"""Every error that the toolkit raises on purpose.

    ToolkitError                 what went wrong, where, and what to do
    ├── InputError               the caller's input is wrong: exit code 2
    │   ├── RecordError          one record of an input file cannot be read
    │   ├── RecipeError          a recipe or an option does not validate
    │   └── QueryError           SQL that is refused or does not run
    ├── LakeError                the lake on disk is not as its log says: exit code 1
    │   ├── LakeFormatError      written by another format version
    │   ├── LakeDamagedError     a named file is missing, torn or foreign
    │   └── CommitConflictError  another writer changed what this one built on
    ├── MissingExtraError        an optional dependency is not installed: exit code 2
    ├── ModelError               a model gave no answer after all retries; the rollout becomes a row
    │   └── ModelTimeoutError    it was still writing when the time was up
    └── RunError                 a run that started properly could not finish: exit code 1

Foreign exceptions are translated once, where they enter (`raise … from error`).
A bad row is data, not an exception: `RecordError` is collected and reported with its
place, and the rest of the file is still read.
"""

from __future__ import annotations

from pathlib import Path


class ToolkitError(Exception):
    """Base of all errors that the toolkit raises on purpose."""

    exit_code: int = 1
    """Exit code of the command line when this error ends a command."""


class InputError(ToolkitError):
    """The caller's input is wrong; nothing was written."""

    exit_code = 2


class RecordError(InputError):
    """One record of an input file cannot be read.

    The message says what was expected and what came; the place is prefixed here.
    """

    def __init__(
        self, message: str, *, path: Path | str | None = None, position: int | None = None, unit: str = "line"
    ) -> None:
        self.reason = message
        self.path = path
        self.position = position
        place = f"{unit} {position}" if position is not None else ""
        if path is not None:
            place = f"{place} of {path}" if place else str(path)
        super().__init__(f"{place}: {message}" if place else message)


class RecipeError(InputError):
    """A recipe or an option does not validate."""


class QueryError(InputError):
    """SQL that is refused or does not run."""


class LakeError(ToolkitError):
    """The lake on disk is not as its log says, or cannot be written."""


class LakeFormatError(LakeError):
    """The lake was written by another format version."""

    exit_code = 2


class LakeDamagedError(LakeError):
    """A file of the lake is missing, torn or foreign; the message names it."""


class CommitConflictError(LakeError):
    """Another writer removed a segment that this commit wanted to supersede."""


class MissingExtraError(InputError):
    """An optional dependency is not installed; the message holds the install command."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}: {how_to_install(extra)}")


def how_to_install(extra: str) -> str:
    """The command that installs an extra, and where to give it if that is not here."""
    apart = ", in an environment of its own, for vLLM wants another transformers" if extra == "vllm" else ""
    return f"pip install 'trajectory-toolkit[{extra}]'{apart}"


class RunError(ToolkitError):
    """A run that started properly could not finish."""


class ModelError(ToolkitError):
    """A model gave no answer after all retries; the rollout becomes a row that says so."""


class ModelTimeoutError(ModelError):
    """The last retry ended because the time was up."""
