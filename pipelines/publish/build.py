"""A publication of a selection as a directory, and the check that it is what it says.

Invariant: `check` needs nothing but the directory; what passes it can go out as it is.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.publish.card import check_card, render_card
from pipelines.publish.configurations import DATA, write_configurations
from pipelines.publish.facts import Facts, count_facts, first_difference
from pipelines.publish.gate import Finding, refuse_unlicensed, scan_tables, scan_text
from pipelines.publish.plots import FIGURE, draw
from pipelines.publish.redaction import redact, rehash
from pipelines.publish.restore import temporary_lake
from pipelines.publish.tables import LAKE, write_tables
from schemas import FORMAT_VERSION, Selection
from toolkit.errors import InputError
from toolkit.hub.manifest import (
    CARD,
    MANIFEST,
    Manifest,
    PublishedSelection,
    Redaction,
    Validation,
    describe,
    differences,
    read_manifest,
)
from toolkit.lake.selections import find_selection
from toolkit.lake.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """How a selection is published."""

    repo_id: str
    licenses: dict[str, str] = field(default_factory=dict)
    redact: bool = False
    validation: Validation | None = None
    about: str | None = None


def build(snapshot: Snapshot, selection: Selection, options: PublishOptions, directory: Path) -> Manifest:
    """Write the publication of `selection` into `directory`, which is empty.

    Raises:
        InputError: the selection is empty or has changed, or an option does not fit it.
    """
    write_tables(snapshot, selection, directory)
    redaction: Redaction | None = None
    if options.redact:
        kinds, changed = redact(directory)
        redaction = rehash(directory, changed, kinds) if kinds else None
    with tempfile.TemporaryDirectory(prefix="toolkit-publish-") as temporary:
        lake = temporary_lake(directory, Path(temporary) / "lake")
        published = find_selection(lake.snapshot(), selection.name)
        write_configurations(lake, published, options.validation, directory)
    facts = count_facts(directory)
    draw(facts, directory / FIGURE)
    manifest = Manifest(
        lake_format=FORMAT_VERSION,
        kind="selection",
        repo_id=options.repo_id,
        selection=_published(published),
        licenses=dict(sorted(options.licenses.items())),
        redaction=redaction,
        validation=options.validation,
        about=options.about,
        facts=facts,
    )
    (directory / CARD).write_text(render_card(manifest, facts, directory))
    manifest.files = describe(directory, _files(directory))
    (directory / MANIFEST).write_bytes(manifest.as_bytes())
    return manifest


def _published(selection: Selection) -> PublishedSelection:
    return PublishedSelection(
        name=selection.name,
        selection_id=selection.selection_id,
        content_hash=selection.content_hash,
        input_commit=selection.input_commit,
        trajectories=selection.n_kept,
    )


def _files(directory: Path) -> list[str]:
    """Every file that belongs to the publication in `directory`, without its manifest."""
    data = (path for part in (DATA, LAKE) for path in (directory / part).rglob("*.parquet"))
    return [path.relative_to(directory).as_posix() for path in (*data, directory / FIGURE, directory / CARD)]


def check(directory: Path) -> tuple[Manifest, list[Finding]]:
    """See that the publication in `directory` may go out: its manifest, and secrets or personal data in it.

    Raises:
        InputError: a file is not as the manifest says, a number is not what the files hold, or a part has no licence.
    """
    manifest = read_manifest(directory / MANIFEST, str(directory))
    if manifest.kind != "selection":
        raise InputError(f"{directory} is the publication of a model: publish it by `--model`")
    expected = sorted(manifest.files)
    if sorted(_files(directory)) != expected:
        odd = sorted(set(expected) ^ set(_files(directory)))
        raise InputError(f"{directory} does not hold the files of its manifest: {', '.join(odd[:5])}")
    wrong = differences(manifest, directory, [path for path in manifest.files if path != CARD])
    if wrong:
        raise InputError(f"nothing was published: {'; '.join(wrong[:3])}")
    facts = count_facts(directory)
    _check_numbers(manifest, facts, directory)
    refuse_unlicensed(facts, manifest.licenses)
    findings = [finding for finding, _ in scan_tables(directory)]
    findings += scan_text("the card's About", manifest.about or "")
    return manifest, findings


def _check_numbers(manifest: Manifest, facts: Facts, directory: Path) -> None:
    if found := first_difference(manifest.facts, facts):
        raise InputError(f"nothing was published: in {MANIFEST}, {found}")
    stated = manifest.selection.model_dump() if manifest.selection else {}
    counted = {name: facts["selection"].get("n_kept" if name == "trajectories" else name) for name in stated}
    if found := first_difference(stated, counted, "selection"):
        raise InputError(f"nothing was published: in {MANIFEST}, {found}")
    check_card(directory, render_card(manifest, facts, directory), manifest)
