"""Where questions come from, by one text: `minipedia:train?seed=1`, or the path of a file.

Invariant: the answer to a wrong text lists what there is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from schemas import Domain, Task
from toolkit.errors import InputError

KNOWN = (
    "minipedia:train, minipedia:test or minipedia:ood, with ?seed=NUMBER&size=NUMBER behind it if you like",
    "the path of a JSON, JSONL, Parquet, CSV or TSV file with question and answer (see toolkit.tasks.files)",
)
"""What `open_tasks` understands, for messages and help."""

_MINIPEDIA = "minipedia:"
_SCHEME = re.compile(r"([A-Za-z][\w+-]*):(?!\\)")


def is_minipedia(spec: str) -> bool:
    """Whether `spec` is meant as the name of a generated world; how it is written is looked at when it is opened."""
    return spec.lower().startswith(_MINIPEDIA)


def open_tasks(
    spec: str,
    *,
    limit: int | None = None,
    dataset: str | None = None,
    split: str | None = None,
    domain: Domain | None = None,
    require_answers: bool = True,
) -> Iterator[Task]:
    """The questions that `spec` names, in their order.

    Args:
        spec: a Minipedia or a path; `KNOWN` lists the forms.
        limit: at most so many. None: all.
        dataset: of a file, see `load_tasks`; so are `split`, `domain` and `require_answers`.
        split: see there.
        domain: see there.
        require_answers: see there.

    Raises:
        InputError: `spec` names nothing, or what it names cannot be used.
    """
    if is_minipedia(spec):
        if dataset or split or domain:
            raise InputError(f"{spec}: dataset, split and domain are given by the generator; leave them out")
        return _minipedia(spec, limit)
    scheme = _SCHEME.match(spec)
    # Not by `Path.expanduser`, which raises where there is no such user: it is a path that is not there.
    path = Path(os.path.expanduser(spec))
    if path.exists() and not path.is_dir():
        from toolkit.tasks.files import load_tasks

        return load_tasks(
            path, limit=limit, dataset=dataset, split=split, domain=domain, require_answers=require_answers
        )
    what = "a directory" if path.is_dir() else "no such file"
    if scheme:
        what = f"no question source is called {scheme[1]!r}"
    raise InputError(f"{spec or 'no text'}: {what}; expected one of\n" + "\n".join(f"  {known}" for known in KNOWN))


def _minipedia(spec: str, limit: int | None) -> Iterator[Task]:
    from toolkit.tasks.minipedia import Minipedia, parse_spec

    if limit is not None and limit < 1:
        raise InputError(f"expected a limit of at least 1 question, came {limit}")
    parsed = parse_spec(spec)
    minipedia = Minipedia(parsed.seed, parsed.size)
    # A limit above the number of questions means all of them, as it does for a file.
    return islice(minipedia.tasks(parsed.split), limit)
