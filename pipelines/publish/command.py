"""`toolkit publish`: put a selection or a model on the Hugging Face Hub.

A dry run until `--confirm`: everything is built, checked and compared with what is there,
and nothing leaves the machine.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pipelines.publish.build import PublishOptions, build, check
from pipelines.publish.gate import Finding, parse_licenses, refuse_findings
from pipelines.publish.model import build_model, check_model
from pipelines.publish.plots import check_extras
from pipelines.publish.upload import MAIN, Plan, list_changes, make_plan, upload
from toolkit.cli.options import DEFAULT_LAKE, AsJson, At, LakePath
from toolkit.cli.output import note, print_json, print_table
from toolkit.errors import InputError, RecipeError, RunError
from toolkit.hub.manifest import CARD, MANIFEST, Manifest, Validation, read_manifest
from toolkit.hub.repository import Repository
from toolkit.lake.lake import open_lake
from toolkit.lake.selections import find_selection

FINDINGS_SHOWN = 40


def publish_command(
    repo: str,
    /,
    *,
    selection: Annotated[str | None, Parameter(help="Name of the selection.")] = None,
    model: Annotated[Path | None, Parameter(help="Directory of a trained adapter or model, instead.")] = None,
    prepared: Annotated[Path | None, Parameter(name="--from", help="What an earlier --out wrote, instead.")] = None,
    lake: LakePath = DEFAULT_LAKE,
    at: At = None,
    license: Annotated[list[str] | None, Parameter(help="DATASET=SPDX, or SPDX for your own part.")] = None,
    redact: Annotated[bool, Parameter(negative="", help="Replace secrets and personal data by markers.")] = False,
    validation: Annotated[float | None, Parameter(help="Share of the train questions held out.")] = None,
    seed: Annotated[int, Parameter(help="Draws the validation questions.")] = 0,
    about: Annotated[Path | None, Parameter(help="Markdown file with your words for the card.")] = None,
    out: Annotated[Path | None, Parameter(help="Keep what is published in this directory.")] = None,
    public: Annotated[bool, Parameter(negative="", help="Make it public; otherwise it is private.")] = False,
    revision: Annotated[str, Parameter(help="Branch to commit to; made if missing.")] = MAIN,
    tag: Annotated[str | None, Parameter(help="Tag to put on the commit.")] = None,
    message: Annotated[str | None, Parameter(help="Message of the commit.")] = None,
    confirm: Annotated[bool, Parameter(negative="", help="Upload; without it nothing leaves this machine.")] = False,
    json: AsJson = False,
) -> None:
    """Publish a selection or a model on the Hugging Face Hub; a dry run until --confirm.

    Builds Parquet files, a card and a manifest, refuses secrets, personal data and parts without
    a licence, counts every number of the card again, and uploads what differs from what is there.

    Args:
        repo: ORG/NAME on the Hub.
        selection: Name of the selection.
        model: Directory of a trained adapter or model, instead of a selection.
        prepared: Directory that an earlier `--out` wrote, instead of a selection; goes out as it is.
        lake: Directory of the lake.
        at: Publish the selection as it was after this commit.
        license: DATASET=SPDX for a part whose licence the lake does not record, SPDX for your own part; repeatable.
        redact: Replace secrets and personal data by markers in what is published.
        validation: Share of the train questions that become the validation split.
        seed: Draws the validation questions.
        about: Markdown file with your words for the card.
        out: Directory to keep what is published, to read before; must be new or empty.
        public: Make it public; otherwise it is private.
        revision: Branch to commit to; made from main if missing.
        tag: Tag to put on the commit.
        message: Message of the commit.
        confirm: Upload; without it nothing leaves this machine.
        json: Print one JSON document.
    """
    if sum(source is not None for source in (selection, model, prepared)) != 1:
        raise InputError("say what to publish: one of --selection NAME, --model DIR, --from DIR")
    licenses = parse_licenses(license or [])
    if selection is not None:
        check_extras()
    with _directory(out, prepared) as directory:
        is_model = model is not None or (prepared is not None and _kind(prepared) == "model")
        repository = Repository(repo, "model" if is_model else "dataset")
        if model is not None:
            build_model(lake, model, repo, licenses, _read(about), directory)
        elif selection is not None:
            options = PublishOptions(repo, licenses, redact, _validation(validation, seed), _read(about))
            snapshot = open_lake(lake).snapshot(at)
            build(snapshot, find_selection(snapshot, selection), options, directory)
        manifest, findings = (check_model if is_model else check)(directory)
        _report(findings, json=json)
        if manifest.repo_id != repo:
            raise InputError(f"{directory} was made for {manifest.repo_id}; its card would tell {repo} wrong")
        files = [*manifest.files, MANIFEST]
        if not confirm:
            _show(manifest, _dry_plan(repository, directory, files, revision, public), directory if out else None, json)
            return
        said = message or f"Publish {manifest.selection.name if manifest.selection else repo}"
        plan, commit = upload(repository, directory, files, revision, public=public, message=said)
        if tag is not None:
            repository.tag(tag, commit)
        _show(manifest, plan, directory if out else None, json, f"{repository.url} at {commit}")


@contextmanager
def _directory(out: Path | None, prepared: Path | None) -> Iterator[Path]:
    if prepared is not None:
        if not prepared.is_dir():
            raise InputError(f"--from {prepared}: there is no such directory")
        yield prepared
    elif out is not None:
        if out.is_dir() and any(out.iterdir()):
            held = f", or publish what it holds by --from {out}" if (out / MANIFEST).exists() else ""
            raise InputError(f"{out} is not empty; choose another --out{held}")
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--out {out} cannot be made a directory: {error.strerror or error}") from error
        try:
            yield out
        finally:
            # The manifest is written last: without it nobody could publish what is there, nor write there again.
            if not (out / MANIFEST).exists():
                _empty(out)
    else:
        with tempfile.TemporaryDirectory(prefix="toolkit-publish-") as temporary:
            yield Path(temporary)


def _empty(directory: Path) -> None:
    for path in directory.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _kind(prepared: Path) -> str:
    return read_manifest(prepared / MANIFEST, str(prepared)).kind


def _validation(share: float | None, seed: int) -> Validation | None:
    if share is None:
        return None
    if not 0 < share < 1:
        raise RecipeError(f"--validation: expected a share between 0 and 1, got {share:g}")
    return Validation(share=share, seed=seed)


def _read(about: Path | None) -> str | None:
    if about is None:
        return None
    try:
        return about.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--about {about} cannot be read: {error}") from error


def _report(findings: Sequence[Finding], *, json: bool) -> None:
    """Show what was found and refuse to go on."""
    if not findings:
        return
    if json:
        print_json({"published": False, "findings": [finding.as_json() for finding in findings]})
    else:
        rows = [
            [f.kind, f.table, f.row, f.step, f.column, f"{f.start}–{f.end}", f.masked]
            for f in findings[:FINDINGS_SHOWN]
        ]
        print_table(["kind", "table", "row", "step", "column", "span", "masked"], rows, title="found")
        if len(findings) > FINDINGS_SHOWN:
            note(f"… and {len(findings) - FINDINGS_SHOWN:,} more; --json lists them all")
    refuse_findings(findings)


def _dry_plan(repository: Repository, directory: Path, files: list[str], revision: str, public: bool) -> Plan:
    try:
        return make_plan(repository, directory, files, revision, public=public)
    except RunError as error:
        note(f"the Hub could not be asked, everything counts as new: {error}")
        return Plan(list_changes(None, directory, files), None)


def _show(manifest: Manifest, plan: Plan, kept: Path | None, json: bool, published: str | None = None) -> None:
    sent = plan.of("new", "changed")
    if json:
        files = [{"path": c.path, "size_bytes": c.size_bytes, "state": c.state} for c in plan.changes]
        of = manifest.selection.model_dump() if manifest.selection else None
        print_json({"published": published is not None, "at": published, "selection": of, "files": files})
        return
    rows = [[change.path, change.size_bytes or None, change.state] for change in plan.changes]
    print_table(["file", "bytes", "state"], rows, title=manifest.repo_id)
    size = sum(change.size_bytes for change in sent)
    if manifest.redaction:
        note(f"redacted: {manifest.redaction.values} values in {manifest.redaction.trajectories} trajectories")
    if published:
        note(f"sent {len(sent)} files, {size:,} bytes: {published}")
        return
    note(f"a dry run: {len(sent)} files, {size:,} bytes would be sent; nothing was. --confirm uploads")
    if kept:
        note(f"{kept / CARD} is the card; --from {kept} --confirm publishes exactly this")
