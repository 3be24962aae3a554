"""One HTML file that needs nothing else: template, style and scripts of `page/`, and the data, compressed.

Invariants: no text of the data stands in the page as it is. JSON is compressed with gzip and written in base64,
inside script elements of a type that no browser runs; the shipped scripts show it as text only. The page's own policy
allows its inline scripts and its style by their hashes and forbids everything else: requests, other scripts, forms,
and turning strings into markup (Trusted Types). Files appear whole, under their final name.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import orjson
from jinja2 import Environment, StrictUndefined

from pipelines.whole_file import replace_file

SCRIPTS = ("text.js", "data.js", "parts.js", "list.js", "charts.js", "card.js", "compare.js", "browser.js", "main.js")
"""In the order in which they run; each uses names of those before it."""
COMPRESSION = 6
"""Level of gzip; 9 took 60 % longer for 1 % less."""


class Part(NamedTuple):
    """A piece of the data."""

    name: str
    text: str
    """JSON, gzip, base64."""


def pack(name: str, value: object) -> Part:
    """`value` as a part of the page."""
    # A fixed time, so that equal data give equal parts.
    packed = gzip.compress(orjson.dumps(value), COMPRESSION, mtime=0)
    return Part(name, base64.b64encode(packed).decode())


def write_page(path: Path, parts: Iterable[Part]) -> int:
    """Write the page with `parts`, which may be made on the way; its size in bytes."""
    replace_file(path, (text.encode() for text in _page(parts)))
    return path.stat().st_size


def _page(parts: Iterable[Part]) -> Iterator[str]:
    style, scripts = _shipped("style.css"), [_shipped(name) for name in SCRIPTS]
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(_shipped("report.html"))
    return template.generate(style=style, scripts=scripts, policy=policy(style, scripts), parts=parts)


def policy(style: str, scripts: Iterable[str]) -> str:
    """The Content-Security-Policy that allows exactly these texts, inline."""
    allowed = " ".join(_source(script) for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_source(style)}; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _source(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _shipped(name: str) -> str:
    return files("pipelines.report").joinpath("page", name).read_text(encoding="utf-8")
