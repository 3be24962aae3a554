"""Prompt texts as Jinja templates: the shipped ones, or a user's own files of the same names.

Invariants: a prompt depends on template texts and given values only; every problem of a template is
an `InputError` that names the file and the line; `hashes` covers what a template includes.
Templates run in Jinja's sandbox, because a recipe may come with templates of a stranger.
Not covered: whether a user's template still tells the model what the parser expects.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from pathlib import Path

from jinja2 import FunctionLoader, StrictUndefined, TemplateError, TemplateNotFound, TemplateSyntaxError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from schemas.identity import derive_id
from toolkit.errors import InputError

SUFFIX = ".jinja"
_SHIPPED = "toolkit/dialects/templates"
# What an expression in a template can raise while it is evaluated.
_FAULTS = (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError)

Filter = Callable[[str], str]


class Prompts:
    """The templates that one dialect uses.

    Args:
        templates_dir: where `NAME.jinja` replaces the shipped template NAME. None: nothing is replaced.
        filters: functions that templates may apply to a text.

    Raises:
        InputError: the directory is missing, holds no template or one that replaces nothing, or is not UTF-8.
    """

    def __init__(self, templates_dir: Path | None = None, filters: Mapping[str, Filter] | None = None) -> None:
        self._texts = {name: (text, f"{_SHIPPED}/{name}{SUFFIX}") for name, text in shipped().items()}
        if templates_dir is not None:
            self._texts |= _own(templates_dir, known=self._texts)
        self._environment = ImmutableSandboxedEnvironment(
            loader=FunctionLoader(self._load), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._environment.filters.update(filters or {})

    def render(self, name: str, **values: object) -> str:
        """The prompt that the template `name` gives for `values`.

        Raises:
            InputError: the template is malformed, or uses a value that is not among `values`.
        """
        try:
            return self._environment.get_template(name).render(values).strip()
        except _FAULTS as error:
            raise self._translated(error, name, values) from error

    def hashes(self, names: Iterable[str]) -> dict[str, str]:
        """By name, the hash of the text of each template and of those it includes.

        Raises:
            InputError: a template is malformed, or what it includes is not known by name.
        """
        pending, found = list(names), dict[str, str]()
        while pending:
            name = pending.pop()
            if name not in found:
                found[name] = derive_id("template", self._texts[name][0])
                pending += self._included(name)
        return dict(sorted(found.items()))

    def _included(self, name: str) -> list[str]:
        text, place = self._texts[name]
        try:
            included = list(meta.find_referenced_templates(self._environment.parse(text, name, place)))
        except TemplateError as error:
            raise self._translated(error, name, {}) from error
        for other in included:
            if other not in self._texts:
                raise InputError(
                    f"{place}: includes {other or 'a template by a computed name'}; "
                    f"a template may include these, by name: {', '.join(sorted(self._texts))}"
                )
        return [other for other in included if other is not None]

    def _load(self, name: str) -> tuple[str, str, Callable[[], bool]] | None:
        if name not in self._texts:
            return None
        text, place = self._texts[name]
        return text, place, lambda: True

    def _translated(self, error: BaseException, name: str, values: Mapping[str, object]) -> InputError:
        place, line = self._texts[name][1], None
        if isinstance(error, TemplateSyntaxError):
            place, line = error.filename or place, error.lineno
        else:
            # Jinja rewrites tracebacks, so that a template's frames carry its file and line.
            places = {known for _, known in self._texts.values()}
            for frame, lineno in traceback.walk_tb(error.__traceback__):
                if frame.f_code.co_filename in places:
                    place, line = frame.f_code.co_filename, lineno
        reason = f"includes {error}, which is not there" if isinstance(error, TemplateNotFound) else str(error)
        known = f"; a template may use {', '.join(values)}" if values and "undefined" in reason else ""
        return InputError(f"{f'line {line} of ' if line else ''}{place}: {reason or type(error).__name__}{known}")


def shipped() -> dict[str, str]:
    """The texts of the shipped templates by name, to copy and edit."""
    folder = files("toolkit.dialects") / "templates"
    return {
        file.name.removesuffix(SUFFIX): file.read_text(encoding="utf-8")
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(SUFFIX)
    }


def _own(folder: Path, known: Mapping[str, object]) -> dict[str, tuple[str, str]]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such directory; expected one with templates such as {sorted(known)[0]}{SUFFIX}")
    found = {path.name.removesuffix(SUFFIX): path for path in sorted(folder.glob(f"*{SUFFIX}"))}
    names = ", ".join(f"{name}{SUFFIX}" for name in sorted(known))
    if not found:
        raise InputError(f"{folder}: holds no template; expected one or more of {names}")
    for name, path in found.items():
        if name not in known:
            raise InputError(f"{path}: replaces no template; expected one of {names}")
    try:
        return {name: (path.read_text(encoding="utf-8"), str(path)) for name, path in found.items()}
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{folder}: a template cannot be read: {error}") from error
