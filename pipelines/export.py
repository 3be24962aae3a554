"""`toolkit export`: a selection as training data, with a manifest of what was written.

Invariant: the files hold exactly the kept trajectories of the selection, in order of
trajectory_id, so that equal selections give equal files. Files appear whole, under their
final names, and nothing is overwritten unless asked; then a former export is replaced as a
whole, and whatever else lies there stays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Literal

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from cyclopts import Parameter

from pipelines.whole_file import replace_file
from schemas import Selection
from toolkit.cli.options import DEFAULT_LAKE, AsJson, At, LakePath
from toolkit.cli.output import note, print_json, print_table, progress
from toolkit.errors import InputError, LakeError
from toolkit.formats.shapes import Shape, find_shape, has_tools
from toolkit.lake.lake import Lake, open_lake
from toolkit.lake.selections import find_selection, read_selected
from toolkit.lake.snapshot import Snapshot
from toolkit.masking.settings import MaskSettings, OverLong, PromptChoice

BATCH_ROWS = 1_000
MANIFEST = "manifest.json"
_FILES = ("train.jsonl", "train.parquet")
"""All that any shape writes."""


@dataclass(frozen=True, slots=True)
class SftOptions:
    """What the shape `sft` needs beside the selection."""

    model: str
    """Whose tokenizer: a directory, or a name of the Hub."""
    settings: MaskSettings


def export_selection(
    lake: Lake,
    name: str,
    shape_name: str,
    out: Path,
    *,
    at: int | None = None,
    overwrite: bool = False,
    sft: SftOptions | None = None,
) -> dict[str, object]:
    """Write selection `name` in the shape `shape_name` into directory `out`; the manifest.

    `sft` is for that shape, and only for it.

    Raises:
        InputError: no such selection or shape, nothing is kept, or `out` is a file, or holds files and `overwrite` is
            not set.
        LakeError: the disk refused; files of a former export stay as they were.
    """
    snapshot = lake.snapshot(at)
    selection = find_selection(snapshot, name)
    if not selection.n_kept:
        raise InputError(f"selection {name!r} cannot be exported: it keeps nothing")
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file; name a directory, new or empty")
    if out.exists() and any(out.iterdir()) and not overwrite:
        raise InputError(f"{out} is not empty; choose another --out, or --overwrite")
    try:
        out.mkdir(parents=True, exist_ok=True)
        about: dict[str, object] = {}
        if sft is None:
            written = _write_all(snapshot, selection, find_shape(shape_name), out)
        else:
            from pipelines.export_sft import write_sft

            written, about = write_sft(snapshot, selection, sft.model, sft.settings, out)
        manifest = _manifest(selection, shape_name, written) | about
        for stale in _former(out) - set(written):
            stale.unlink(missing_ok=True)
        replace_file(out / MANIFEST, [orjson.dumps(manifest, option=orjson.OPT_INDENT_2)])
    except OSError as error:
        raise LakeError(f"cannot write {out}: {error.strerror or error}") from error
    return manifest


def _write_all(snapshot: Snapshot, selection: Selection, shape: Shape, out: Path) -> list[Path]:
    connection = snapshot.connect()
    schema = shape.schema(has_tools(connection, selection.selection_id))
    jsonl, parquet = out / ".train.jsonl.tmp", out / ".train.parquet.tmp"
    rows = (shape.row(record, weights) for record, weights in read_selected(connection, selection))
    try:
        with jsonl.open("wb") as lines, pq.ParquetWriter(parquet, schema, compression="zstd") as table:
            _write_rows(rows, lines, table, schema, shape, selection.n_kept)
        finals = [out / "train.jsonl"] if shape.jsonl else []
        finals += [out / "train.parquet"] if shape.parquet else []
        for final in finals:
            (out / f".{final.name}.tmp").replace(final)
        return finals
    finally:
        connection.close()
        jsonl.unlink(missing_ok=True)
        parquet.unlink(missing_ok=True)


def _write_rows(
    rows: Iterator[dict[str, object]],
    lines: IO[bytes],
    table: pq.ParquetWriter,
    schema: pa.Schema,
    shape: Shape,
    total: int,
) -> None:
    pending: list[dict[str, object]] = []
    with progress("export", total, unit="trajectories") as advance:
        for done, row in enumerate(rows, start=1):
            if shape.jsonl:
                lines.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
            if shape.parquet:
                pending.append(row)
            if len(pending) == BATCH_ROWS:
                table.write_table(pa.Table.from_pylist(pending, schema=schema))
                pending = []
            advance(done)
    if pending:
        table.write_table(pa.Table.from_pylist(pending, schema=schema))


def _manifest(selection: Selection, shape_name: str, files: list[Path]) -> dict[str, object]:
    return {
        "selection": selection.name,
        "selection_id": selection.selection_id,
        "content_hash": selection.content_hash,
        "input_commit": selection.input_commit,
        "recipe": orjson.loads(selection.recipe),
        "format": shape_name,
        "trajectories": selection.n_kept,
        "files": {path.name: {"bytes": path.stat().st_size, "sha256": _sha256(path)} for path in files},
    }


def _former(out: Path) -> set[Path]:
    """The files of ours that the manifest of a former export names; what else lies in `out` is somebody's own."""
    try:
        manifest = orjson.loads((out / MANIFEST).read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return set()
    named = manifest.get("files") if isinstance(manifest, dict) else None
    return {out / name for name in _FILES if isinstance(named, dict) and name in named}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def export_command(
    *,
    selection: str,
    out: Path | None = None,
    format: Annotated[Literal["trl", "openai", "nested", "sft"], Parameter(help="Shape of the rows.")] = "trl",
    model: Annotated[str | None, Parameter(help="With sft: whose tokenizer and chat template.")] = None,
    prefix_loss: Annotated[bool, Parameter(help="With sft: train injected first thoughts.")] = True,
    max_tokens: Annotated[int, Parameter(help="With sft: longest row.")] = MaskSettings().max_tokens,
    over_long: Annotated[OverLong, Parameter(help="With sft: cut behind a step, or drop.")] = "cut",
    prompt: Annotated[PromptChoice, Parameter(help="With sft: the student's, or as recorded.")] = "student",
    templates: Annotated[Path | None, Parameter(help="With sft: directory with prompt templates of your own.")] = None,
    preview_mask: Annotated[bool, Parameter(negative="", help="With sft: print one row, write nothing.")] = False,
    trajectory: Annotated[str | None, Parameter(help="With --preview-mask: beginning of the id to show.")] = None,
    lake: LakePath = DEFAULT_LAKE,
    at: At = None,
    overwrite: Annotated[bool, Parameter(negative="", help="Replace files of a former export.")] = False,
    json: AsJson = False,
) -> None:
    """Write a selection as training data.

    `trl`: train.jsonl and train.parquet with `messages`, a weight beside each assistant turn.
    `openai`: train.jsonl as OpenAI's fine-tuning reads it. `nested`: train.parquet, one row a
    trajectory with its steps inside. `sft`: train.parquet with token ids, labels and loss weights
    for one tokenizer, and train.jsonl with the same conversations in words.

    Args:
        selection: Name of the selection.
        out: Directory to write to; made if missing.
        format: Shape of the rows.
        model: Directory, or name on the Hub, of the model whose tokenizer and chat template are used.
        prefix_loss: Train also the beginnings of first thoughts that were injected.
        max_tokens: Longest row; longer ones are cut or dropped, counted and listed.
        over_long: cut keeps the steps that fit; drop keeps none.
        prompt: student is the short prompt that the student is asked with; recorded is the teacher's.
        templates: Directory with prompt templates of your own, as in generate.
        preview_mask: Print one row with what is trained in colour, or in brackets; write nothing.
        trajectory: Beginning of the trajectory_id to preview; the first row unless given.
        lake: Directory of the lake.
        at: Read the selection as it was after this commit.
        overwrite: Replace files of a former export.
        json: Print the manifest.
    """
    if format == "sft":
        if model is None:
            raise InputError("--format sft makes token ids: name the student's tokenizer with --model")
        settings = MaskSettings(prefix_loss, max_tokens, over_long, prompt, templates)
        sft = SftOptions(model, settings)
    elif model is not None or preview_mask:
        raise InputError(f"--model and --preview-mask are for --format sft, not {format}")
    else:
        sft = None
    if preview_mask and sft is not None:
        from pipelines.export_sft import preview

        snapshot = open_lake(lake).snapshot(at)
        preview(snapshot, find_selection(snapshot, selection), sft.model, sft.settings, trajectory)
        return
    if out is None:
        raise InputError("name the directory to write to with --out")
    manifest = export_selection(open_lake(lake), selection, format, out, at=at, overwrite=overwrite, sft=sft)
    if json:
        print_json(manifest)
        return
    files = manifest["files"]
    assert isinstance(files, dict)
    rows = [
        [str(out / name), manifest.get("rows", manifest["trajectories"]), entry["bytes"]]
        for name, entry in files.items()
    ]
    print_table(["file", "rows", "bytes"], rows, title=f"selection {selection} as {format}")
    if sft is not None:
        from pipelines.export_sft import tell

        tell(manifest)
    note(f"content hash {manifest['content_hash']}; {out / MANIFEST} says what is in it and why")
