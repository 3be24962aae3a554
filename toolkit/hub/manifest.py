"""What a publication holds: every file with its hash, and what it was made from.

Invariant: a path in a manifest stays inside its directory, whoever wrote the manifest.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from toolkit.errors import InputError

MANIFEST = "manifest.json"
CARD = "README.md"
FORMAT = 1
"""Raised when a publication is laid out differently."""

_PATH = re.compile(r"^(?:[A-Za-z0-9_][A-Za-z0-9_.-]*/)*[A-Za-z0-9_][A-Za-z0-9_.-]*$")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class PublishedFile(_Strict):
    """One file."""

    size_bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class PublishedSelection(_Strict):
    """The selection whose rows a publication holds."""

    name: str
    selection_id: str
    content_hash: str
    """Hash over (content_hash, step weights) of what was published; differs from the lake's after redaction."""
    input_commit: int
    trajectories: int


class Redaction(_Strict):
    """What was replaced before publishing."""

    values: int
    """Distinct values; each has a marker of its own."""
    kinds: dict[str, int]
    """Distinct values by kind."""
    trajectories: int
    """Trajectories of which some text was replaced."""
    content_hash_before: str
    """Content hash of the selection as it is in the lake."""


class Validation(_Strict):
    """How a validation split was taken from `train`."""

    share: float = Field(gt=0, lt=1)
    seed: int = Field(ge=0)


class Manifest(_Strict):
    """Content of `manifest.json`."""

    format: int = FORMAT
    lake_format: int
    kind: Literal["selection", "model"]
    repo_id: str
    selection: PublishedSelection | None = None
    """None: a model that was not trained here."""
    licenses: dict[str, str] = {}
    """SPDX expressions that were given at publishing, by dataset; `*` is the publisher's own part."""
    redaction: Redaction | None = None
    validation: Validation | None = None
    about: str | None = None
    """The publisher's own words on the card, as Markdown."""
    facts: dict[str, Any] = {}
    """Every number and text of the card, as counted in the files."""
    files: dict[str, PublishedFile] = {}
    """Every other file by its path."""

    @field_validator("files")
    @classmethod
    def _inside(cls, files: dict[str, PublishedFile]) -> dict[str, PublishedFile]:
        for path in files:
            if not _PATH.match(path):
                raise ValueError(f"{path!r} is no path of a publication")
        return files

    def as_bytes(self) -> bytes:
        """As stored."""
        return self.model_dump_json(indent=1, exclude_defaults=False).encode() + b"\n"


def read_manifest(path: Path, place: str) -> Manifest:
    """The manifest in file `path`, which was found at `place`.

    Raises:
        InputError: missing, not ours, or of a newer format.
    """
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"{place} has no {MANIFEST}: it was not published by `toolkit publish`") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"{MANIFEST} of {place} is none of `toolkit publish`: {where}: {first['msg']}") from error
    if manifest.format > FORMAT:
        raise InputError(f"{MANIFEST} of {place} has format {manifest.format}; this toolkit reads {FORMAT}: update it")
    return manifest


def describe(directory: Path, paths: Iterable[str]) -> dict[str, PublishedFile]:
    """Size and hash of the files at `paths` below `directory`."""
    return {path: _describe(directory / path) for path in sorted(paths)}


def _describe(path: Path) -> PublishedFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return PublishedFile(size_bytes=path.stat().st_size, sha256=digest)


def differences(manifest: Manifest, directory: Path, paths: Iterable[str]) -> list[str]:
    """What is wrong with the files at `paths`, one sentence each; empty when they are as the manifest says."""
    found = (difference(path, directory / path, manifest.files[path]) for path in paths)
    return [wrong for wrong in found if wrong is not None]


def difference(path: str, file: Path, expected: PublishedFile) -> str | None:
    """What is wrong with `file`, which stands for `path` of a publication; None if nothing is."""
    if not file.is_file():
        return f"{path} is missing"
    found = _describe(file)
    if found == expected:
        return None
    return (
        f"{path} is not as {MANIFEST} says: expected {expected.size_bytes} bytes with sha256"
        f" {expected.sha256[:12]}…, got {found.size_bytes} bytes with {found.sha256[:12]}…"
    )
