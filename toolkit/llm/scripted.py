"""A model that answers from a script, and remembers what it was asked.

For tests, examples and dry runs: a real `LLM`, deterministic, without a server. A script is
a list of replies in order, or a function of the request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import orjson

from toolkit.contracts import Completion, CompletionRequest, Identity
from toolkit.errors import InputError, ModelError

Script = Sequence[str] | Callable[[CompletionRequest], str]


class ScriptedLLM:
    """Replies from `script`; `requests` holds every request in the order of arrival."""

    def __init__(self, script: Script, *, name: str = "scripted", continues_prefix: bool = True) -> None:
        self._script = script
        self._continues_prefix = continues_prefix
        self.name = name
        self.requests: list[CompletionRequest] = []

    @property
    def identity(self) -> Identity:
        """The name, and the script where it is a list."""
        known = list(self._script) if not callable(self._script) else None
        return {"model": self.name, "script": known}

    async def prepare(self, *, prefix: bool) -> None:
        """Refuse a prefix if the script was said not to continue one."""
        if prefix and not self._continues_prefix:
            raise InputError(f"model {self.name} cannot continue a prefix, which first-thought prefixing needs")

    async def complete(self, request: CompletionRequest) -> list[Completion]:
        """The next `n` replies."""
        return [self._reply(request) for _ in range(request.n)]

    def _reply(self, request: CompletionRequest) -> Completion:
        self.requests.append(request)
        if callable(self._script):
            return Completion(self._script(request))
        if len(self.requests) > len(self._script):
            raise ModelError(f"the script of {self.name} has {len(self._script)} replies; one more was asked for")
        return Completion(self._script[len(self.requests) - 1])

    async def close(self) -> None:
        """Nothing to let go of."""


def load_script(path: Path) -> ScriptedLLM:
    """A model with the replies of a JSON file: an array of strings.

    Raises:
        InputError: the file is missing or holds something else.
    """
    try:
        replies = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise InputError(f"cannot read the script {path}: {error}") from error
    if not isinstance(replies, list) or not all(isinstance(reply, str) for reply in replies):
        raise InputError(f"{path}: expected a JSON array of strings, one reply each")
    return ScriptedLLM(replies, name=f"scripted:{path.name}")
