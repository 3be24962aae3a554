"""A published selection, read where it lies: its manifest, and what it keeps by id."""

from __future__ import annotations

from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from toolkit.errors import InputError
from toolkit.hub.manifest import MANIFEST, Manifest, difference, read_manifest
from toolkit.hub.repository import Repository, missing

Contents = dict[str, tuple[str, str]]
"""Content hash and step weights (as text) of each kept trajectory."""


def fetch_manifest(repository: Repository, revision: str | None = None) -> tuple[Manifest, str]:
    """The manifest of the selection that `repository` holds at `revision`, and the commit it was read at.

    Raises:
        InputError: no such repository or revision, or it holds no selection of ours.
    """
    remote = repository.look(revision)
    if remote is None:
        raise missing(repository, revision)
    if MANIFEST not in remote.files:
        raise InputError(f"{repository.repo_id} has no {MANIFEST}: it was not published by `toolkit publish`")
    manifest = read_manifest(repository.download(MANIFEST, remote.commit), repository.repo_id)
    if manifest.kind != "selection" or manifest.selection is None:
        raise InputError(f"{repository.repo_id} holds a {manifest.kind}, no selection")
    return manifest, remote.commit


def read_contents(repository: Repository, manifest: Manifest, commit: str) -> Contents:
    """What each kept trajectory of a published selection says and weighs.

    Raises:
        InputError: a file is not as the manifest says.
    """
    paths = ("lake/trajectories.parquet", "lake/step_weights.parquet")
    files: list[Path] = []
    for path in paths:
        if path not in manifest.files:
            raise InputError(f"{MANIFEST} of {repository.repo_id} names no {path}")
        file = repository.download(path, commit)
        if wrong := difference(path, file, manifest.files[path]):
            raise InputError(f"{repository.repo_id} does not verify: {wrong}")
        files.append(file)
    return _contents(*files)


def _contents(trajectories: Path, weights: Path) -> Contents:
    given: dict[str, list[str]] = {}
    table = pq.read_table(weights, columns=["trajectory_id", "step_index", "weight"])
    table = table.take(pc.sort_indices(table, [("trajectory_id", "ascending"), ("step_index", "ascending")]))
    for row in table.to_pylist():
        given.setdefault(row["trajectory_id"], []).append(f"{row['step_index']}:{row['weight']}")
    rows = pq.read_table(trajectories, columns=["trajectory_id", "content_hash"]).to_pylist()
    return {row["trajectory_id"]: (row["content_hash"], ",".join(given.get(row["trajectory_id"], []))) for row in rows}
