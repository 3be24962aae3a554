"""`toolkit pull`: a published selection as a lake, with equal hashes.

Invariant: a directory appears as a lake when everything in it has been verified, and never
over another lake. Pulling what is there already changes nothing.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pipelines.publish.restore import check_selection, restore
from pipelines.publish.tables import LAKE
from schemas import FORMAT_VERSION
from toolkit.cli.options import DEFAULT_LAKE, AsJson, LakePath
from toolkit.cli.output import note, print_json, print_table, progress
from toolkit.errors import InputError, LakeFormatError, ToolkitError
from toolkit.hub.manifest import MANIFEST, Manifest, differences
from toolkit.hub.published import fetch_manifest
from toolkit.hub.repository import Repository
from toolkit.lake.lake import open_lake
from toolkit.lake.selections import find_selection


def pull(repo_id: str, lake: Path, revision: str | None = None) -> tuple[Manifest, str, bool]:
    """Restore what `repo_id` holds at `revision` into `lake`: its manifest, the commit, whether anything was done.

    Raises:
        InputError: there is nothing to pull, what is there does not verify, or `lake` holds something else.
    """
    repository = Repository(repo_id)
    manifest, commit = fetch_manifest(repository, revision)
    if manifest.lake_format != FORMAT_VERSION:
        raise LakeFormatError(
            f"{repo_id} holds tables of format {manifest.lake_format}; this toolkit reads format {FORMAT_VERSION}"
        )
    if _is_there(lake, manifest):
        return manifest, commit, False
    if lake.exists() and (not lake.is_dir() or any(lake.iterdir())):
        raise InputError(f"{lake} is not empty and does not hold what {repo_id} does; choose another --lake")
    paths = [path for path in manifest.files if path.startswith(f"{LAKE}/")]
    lake.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".toolkit-pull-", dir=lake.parent) as temporary:
        fetched, restored = Path(temporary) / "fetched", Path(temporary) / "lake"
        with progress("pull", len(paths), unit="files") as advance:
            for done, path in enumerate(paths, start=1):
                _place(repository.download(path, commit), fetched / path)
                advance(done, path)
        if wrong := differences(manifest, fetched, paths):
            raise InputError(f"{repo_id} does not verify: {'; '.join(wrong[:3])}")
        opened = open_lake(restored, create=True)
        restore(fetched, opened, f"pull {repo_id}@{commit[:12]}", validated=True)
        assert manifest.selection is not None
        check_selection(opened, manifest.selection)
        if lake.exists():
            lake.rmdir()
        restored.replace(lake)
    return manifest, commit, True


def _is_there(lake: Path, manifest: Manifest) -> bool:
    """Whether `lake` holds the selection of `manifest` already."""
    assert manifest.selection is not None
    try:
        found = find_selection(open_lake(lake).snapshot(), manifest.selection.name)
    except ToolkitError:
        return False
    expected = manifest.selection
    return (found.selection_id, found.content_hash) == (expected.selection_id, expected.content_hash)


def _place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def pull_command(
    repo: str,
    /,
    *,
    lake: LakePath = DEFAULT_LAKE,
    revision: Annotated[str | None, Parameter(help="Branch, tag or commit; default: main.")] = None,
    json: AsJson = False,
) -> None:
    """Restore a lake from a dataset that `toolkit publish` put on the Hub.

    Args:
        repo: ORG/NAME of the dataset.
        lake: Directory that becomes the lake; must be new or empty.
        revision: Branch, tag or commit; default: main.
        json: Print one JSON document.
    """
    manifest, commit, new = pull(repo, lake, revision)
    assert manifest.selection is not None
    if json:
        print_json({"repo": repo, "commit": commit, "new": new, **manifest.selection.model_dump()})
        return
    rows = [[row["name"], row["rows"]] for row in manifest.facts["tables"] if row["rows"]]
    print_table(["table", "rows"], rows, title=f"{repo} at {commit[:12]}")
    note(f"content hash {manifest.selection.content_hash}, as in {MANIFEST}")
    note(f"{lake} holds it now" if new else f"{lake} held it already; nothing was changed")
    note(f"next: toolkit stats --selection {manifest.selection.name} --lake {lake}")
