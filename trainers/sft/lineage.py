"""`train`: a selection of a lake becomes a student, and the lake keeps what it was trained from.

    selection -> rows (toolkit.masking) -> train_rows -> adapter or model, card, `runs` and `models` rows

Invariant: what stands in the lake was trained to its end. A training that is cut off leaves checkpoints in `out` only.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import yaml

from schemas import Model, Run, Selection
from schemas.identity import canonical_json, derive_id
from toolkit.cli.output import note
from toolkit.errors import InputError
from toolkit.lake.lake import Lake
from toolkit.lake.runs import environment, finished, start_run
from toolkit.lake.selections import find_selection
from toolkit.lake.snapshot import Snapshot
from toolkit.llm.local_weights import LocalModel
from toolkit.masking import MaskSettings, Summary, load_tokenizer, selection_table, tokenizer_name
from trainers.sft.card import write_card
from trainers.sft.checkpoints import begin, withdraw, write_record
from trainers.sft.merging import save_merged
from trainers.sft.rows import plan
from trainers.sft.run import TrainResult, main_process_first, part, processes, quiet, train_rows
from trainers.sft.settings import TrainSettings

Kind = Literal["agent", "cot", "cot_rag"]


@dataclass(frozen=True)
class Prepared:
    """Everything that is known before the first step."""

    selection: Selection
    train: pa.Table
    validation: pa.Table | None
    summary: Summary
    tokenizer: Any
    kind: str
    identity: dict[str, object]

    def as_json(self, settings: TrainSettings) -> dict[str, object]:
        """For `--dry-run`."""
        with quiet():
            planned = plan(self.train, settings, processes=processes())
        return {
            "selection": self.selection.name,
            "selection_hash": self.selection.content_hash,
            "kind": self.kind,
            **planned.as_json(),
            "validation_rows": self.validation.num_rows if self.validation is not None else 0,
            "longest_row": self.summary.longest,
            "cut_rows": len(self.summary.cut),
            "dropped_rows": len(self.summary.dropped),
            "dropped_reasons": self.summary.reasons,
        }


@quiet()
def prepare(
    lake: Lake,
    selection_name: str,
    settings: TrainSettings,
    base: str,
    *,
    kind: Kind | None = None,
    validation_name: str | None = None,
    templates: Path | None = None,
    at: int | None = None,
) -> Prepared:
    """Rows of the selection for the model `base`; `kind` is checked if given.

    Raises:
        InputError: no such selection, nothing in it to train on, another kind, or a tokenizer that will not do.
    """
    snapshot = lake.snapshot(at)
    selection = find_selection(snapshot, selection_name)
    if not selection.n_kept:
        raise InputError(f"the selection {selection_name!r} keeps no trajectory; `toolkit why` says what dropped them")
    found_kind = _kind(snapshot, selection, kind)
    tokenizer = load_tokenizer(base)
    masks = MaskSettings(settings.prefix_loss, settings.max_tokens, settings.over_long, settings.prompt, templates)
    table, summary = selection_table(snapshot, selection, tokenizer, masks)
    if not table.num_rows:
        reasons = ", ".join(f"{reason} ({count:,})" for reason, count in summary.reasons.items())
        raise InputError(f"no row of the selection {selection_name!r} can be trained on: {reasons}")
    validation = None
    if validation_name is not None:
        validation, _ = selection_table(snapshot, find_selection(snapshot, validation_name), tokenizer, masks)
    elif settings.validation_share:
        table, validation = _hold_out(table, snapshot, settings)
    identity: dict[str, object] = {
        "base": tokenizer_name(base),
        "base_revision": LocalModel(base).revision,
        "selection": selection.name,
        "selection_hash": selection.content_hash,
        "validation": validation_name,
        "rows_hash": _rows_hash(table),
        **settings.as_json(),
    }
    return Prepared(selection, table, validation, summary, tokenizer, found_kind, identity)


def _rows_hash(table: pa.Table) -> str:
    """Of what is trained on: a prompt template or a chat template that changed makes another training."""
    digest = hashlib.sha256()
    for name in ("input_ids", "loss_weights"):
        for chunk in table[name].chunks:
            digest.update(chunk.flatten().to_numpy(zero_copy_only=False).tobytes())
            digest.update(chunk.value_lengths().to_numpy(zero_copy_only=False).tobytes())
    return digest.hexdigest()[:24]


def _kind(snapshot: Snapshot, selection: Selection, wanted: str | None) -> str:
    connection = snapshot.connect()
    try:
        found = connection.execute(
            "SELECT kind, count(*) FROM trajectories SEMI JOIN "
            "(SELECT trajectory_id FROM decisions WHERE kept AND selection_id = ?) USING (trajectory_id) "
            "GROUP BY kind ORDER BY 2 DESC",
            [selection.selection_id],
        ).fetchall()
    finally:
        connection.close()
    kinds = [str(row[0]) for row in found]
    if wanted is not None and kinds != [wanted]:
        counted = ", ".join(f"{count:,} of {kind}" for kind, count in found)
        raise InputError(f"--kind {wanted}: the selection {selection.name!r} keeps {counted}")
    return kinds[0] if len(kinds) == 1 else "mixed"


def _hold_out(table: pa.Table, snapshot: Snapshot, settings: TrainSettings) -> tuple[pa.Table, pa.Table]:
    """Rows to train on, and rows of held-out questions: no question is in both."""
    connection = snapshot.connect()
    try:
        pairs = connection.sql("SELECT trajectory_id, coalesce(task_id, trajectory_id) FROM trajectories").fetchall()
    finally:
        connection.close()
    task_of = {str(trajectory): str(task) for trajectory, task in pairs}
    tasks = sorted(
        {task_of[one] for one in table["trajectory_id"].to_pylist()},
        key=lambda task: derive_id("held out", settings.seed, task),
    )
    n_held = round(settings.validation_share * len(tasks))
    if not 0 < n_held < len(tasks):
        raise InputError(
            f"validation_share {settings.validation_share} of {len(tasks):,} questions holds out {n_held:,}; "
            "there must be questions on both sides"
        )
    held = set(tasks[:n_held])
    is_held = pa.array([task_of[one] in held for one in table["trajectory_id"].to_pylist()])
    return table.filter(pa.compute.invert(is_held)), table.filter(is_held)


def train(
    lake: Lake,
    prepared: Prepared,
    settings: TrainSettings,
    base: str,
    out: Path,
    *,
    at: int | None = None,
    merge: bool = False,
    resume: bool = True,
) -> TrainResult:
    """Train `base` on what was prepared, save the student in `out`, and write its lineage into the lake.

    Raises:
        InputError: something does not fit; nothing was written.
        RunError: it began and could not finish.
    """
    asked = {"selection": prepared.selection.name, "base": tokenizer_name(base), "merge": merge}
    run = start_run(
        "train",
        identity=prepared.identity,
        settings={**settings.as_json(), **asked},
        input_commit=lake.snapshot(at).number,
    )
    with main_process_first() as is_main:
        checkpoint = begin(out, prepared.identity, resume=resume) if is_main else None
    checkpoint = _agreed(checkpoint)
    if checkpoint is not None and is_main:
        note(f"going on from {checkpoint}")
    try:
        result = train_rows(
            prepared.train, prepared.validation, prepared.tokenizer, base, settings, out, resume_from=checkpoint
        )
    except InputError:
        if is_main and checkpoint is None:
            withdraw(out)
        raise
    if result.is_complete and is_main:
        _record(lake, prepared, settings, base, out, finished(run), result)
        if merge:
            with quiet():
                save_merged(result.trained, prepared.tokenizer, out)
    part()
    return result


def _agreed(checkpoint: Path | None) -> Path | None:
    """The main process's word, in all processes."""
    if processes() == 1:
        return checkpoint
    from accelerate.utils import broadcast_object_list

    words = [str(checkpoint) if checkpoint else None]
    broadcast_object_list(words)
    return Path(words[0]) if words[0] else None


def _record(
    lake: Lake, prepared: Prepared, settings: TrainSettings, base: str, out: Path, run: Run, result: TrainResult
) -> None:
    """Card, lake, and at last the mark that it is done."""
    selection = prepared.selection
    is_adapter = settings.method == "lora"
    local = LocalModel(base, out) if is_adapter else LocalModel(str(out))
    data = {name: value for name, value in result.plan.as_json().items() if isinstance(value, int)}
    model = Model(
        model_id=local.model_id,
        name=local.name,
        base=tokenizer_name(base),
        revision=local.revision,
        adapter=str(out) if is_adapter else None,
        trained_from=selection.name,
        trained_from_hash=selection.content_hash,
        training_run_id=run.run_id,
        metadata=canonical_json({"settings": settings.as_json(), "metrics": result.metrics, "data": data}),
    )
    packages = environment()["packages"]
    assert isinstance(packages, dict)
    write_card(
        out,
        {
            "name": out.resolve().name,
            "adapter": is_adapter,
            "base": tokenizer_name(base),
            "is_hub_base": LocalModel(base).directory is None,
            "base_revision": prepared.identity["base_revision"],
            "kind": prepared.kind,
            "selection": selection.name,
            "selection_id": selection.selection_id,
            "selection_hash": selection.content_hash,
            "run_id": run.run_id,
            "data": data,
            "metrics": result.metrics,
            "settings": yaml.safe_dump(settings.as_json(), sort_keys=False),
            "versions": packages,
        },
    )
    with lake.write(f"train on {selection.name}") as batch:
        batch.add([run, model])
    write_record(out, {"identity": prepared.identity, "is_complete": True, "metrics": result.metrics})
