"""A trained adapter or model as a publication: its files, what it was trained on, how it did.

`model.json` holds the model's row of the lake and the selection it was trained on,
`evaluation.jsonl` one line for each graded rollout of it. Invariant: every number on the card
is counted in these two, again when the files go out. Pickles (optimizer states, training
arguments) are never published: reading one runs its code.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import duckdb
import orjson
import yaml

from pipelines.publish.card import check_card, environment, hub_licenses
from pipelines.publish.facts import Facts, first_difference
from pipelines.publish.gate import OWN, Finding, scan_text
from schemas import FORMAT_VERSION
from toolkit.errors import InputError, LakeDamagedError
from toolkit.hub.manifest import (
    CARD,
    MANIFEST,
    Manifest,
    PublishedSelection,
    describe,
    differences,
    read_manifest,
)
from toolkit.lake.lake import open_lake
from toolkit.lake.literal import literal

MODEL = "model.json"
EVALUATION = "evaluation.jsonl"
_WEIGHTS = ".safetensors"
_SUFFIXES = (_WEIGHTS, ".json", ".jinja", ".txt", ".model")
_VOCABULARIES = frozenset({"tokenizer.json", "vocab.json", "merges.txt", "vocab.txt"})
"""Not looked at for secrets: word lists, which hold anything."""
_OURS = (MODEL, EVALUATION, CARD, MANIFEST)

_ROLLOUTS = """
SELECT t.trajectory_id, t.attempt, t.dataset, t.split, t.kind, t.correct, t.n_steps, t.stop_reason, t.completion_tokens,
       t.answer_scorer AS scorer, t.content_hash
FROM trajectories_scored t WHERE t.role = 'student' AND t.model_id = ? ORDER BY t.trajectory_id"""
_SELECTION = """
SELECT name, selection_id, content_hash, input_commit, n_kept AS trajectories FROM raw.selections
WHERE name = ? AND content_hash = ? ORDER BY created_at DESC LIMIT 1"""
_RESULTS = """
SELECT dataset, split, kind, count(*) AS rollouts, count(*) FILTER (correct) AS correct,
       count(*) FILTER (correct IS NULL) AS undecided,
       round(100.0 * count(*) FILTER (correct) / count(*), 1)::DOUBLE AS percent_correct,
       count(*) FILTER (stop_reason <> 'final_answer') AS without_answer,
       quantile_disc(n_steps, 0.5) AS median_steps
FROM rollouts GROUP BY ALL ORDER BY ALL"""
_COLUMNS = {
    **dict.fromkeys(("trajectory_id", "dataset", "split", "kind", "stop_reason", "scorer", "content_hash"), "VARCHAR"),
    **dict.fromkeys(("attempt", "n_steps", "completion_tokens"), "BIGINT"),
    "correct": "BOOLEAN",
}


def build_model(
    lake: Path, model: Path, repo_id: str, licenses: dict[str, str], about: str | None, directory: Path
) -> Manifest:
    """Write the publication of the model in directory `model` into `directory`, which is empty.

    Raises:
        InputError: it holds no weights, or the lake does not know it.
    """
    files = _model_files(model)
    row, selection, rollouts = _lineage(lake, model)
    for name in files:
        _link(model / name, directory / name)
    (directory / MODEL).write_bytes(orjson.dumps({"model": row, "selection": selection}, option=orjson.OPT_INDENT_2))
    (directory / EVALUATION).write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in rollouts))
    facts = count_model_facts(directory)
    manifest = Manifest(
        lake_format=FORMAT_VERSION,
        kind="model",
        repo_id=repo_id,
        selection=PublishedSelection.model_validate(selection) if selection else None,
        licenses=licenses,
        about=about,
        facts=facts,
    )
    (directory / CARD).write_text(render_model_card(manifest, facts))
    manifest.files = describe(directory, [*files, MODEL, EVALUATION, CARD])
    (directory / MANIFEST).write_bytes(manifest.as_bytes())
    return manifest


def _model_files(model: Path) -> list[str]:
    if not model.is_dir():
        raise InputError(f"--model {model}: there is no such directory")
    names = sorted(path.name for path in model.iterdir() if path.is_file() and path.suffix in _SUFFIXES)
    names = [name for name in names if name not in _OURS and not name.startswith(".")]
    if not any(name.endswith(_WEIGHTS) for name in names) or not {"adapter_config.json", "config.json"} & set(names):
        raise InputError(
            f"--model {model}: expected weights (*{_WEIGHTS}) with adapter_config.json or config.json, got"
            f" {', '.join(names[:6]) or 'no files of a model'}"
        )
    return names


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:
        # Another file system.
        shutil.copyfile(source, target)


def _lineage(lake: Path, model: Path) -> tuple[Facts, Facts | None, list[Facts]]:
    """The model's row, the selection it was trained on, and its graded rollouts."""
    connection = open_lake(lake).snapshot().connect()
    try:
        rows: list[Facts] = connection.sql("SELECT * FROM models ORDER BY model_id").to_arrow_table().to_pylist()
        found = [row for row in rows if _is_at(row["adapter"] or row["name"], model)]
        if not found:
            raise InputError(
                f"the lake {lake} knows no model at {model}: publish it from the lake that it was trained from"
            )
        row = found[-1]
        trained_from = [row["trained_from"], row["trained_from_hash"]]
        selections: list[Facts] = connection.sql(_SELECTION, params=trained_from).to_arrow_table().to_pylist()
        rollouts: list[Facts] = connection.sql(_ROLLOUTS, params=[row["model_id"]]).to_arrow_table().to_pylist()
    except duckdb.Error as error:
        raise LakeDamagedError(f"{lake} cannot be read: {error}") from error
    finally:
        connection.close()
    return _without_paths(row), selections[0] if selections else None, rollouts


def _is_at(place: str, model: Path) -> bool:
    return Path(os.path.expanduser(place)).resolve() == model.resolve()


def _without_paths(row: Facts) -> Facts:
    """The row as others may read it: where the files lay on this machine is left out."""
    metadata = orjson.loads(row["metadata"]) if row["metadata"] else None
    return {
        **row,
        "adapter": None,
        "name": Path(row["name"]).name if "/" in row["name"][:1] else row["name"],
        "metadata": metadata,
    }


def count_model_facts(directory: Path) -> Facts:
    """The facts of the publication in `directory`.

    Raises:
        InputError: `model.json` or `evaluation.jsonl` is missing or cannot be read.
    """
    try:
        described: Facts = orjson.loads((directory / MODEL).read_bytes())
        connection = duckdb.connect()
        path, columns = literal(str(directory / EVALUATION)), str(_COLUMNS)
        connection.execute("SET threads = 1")
        connection.execute(
            f"CREATE VIEW rollouts AS FROM read_json({path}, format = 'newline_delimited', columns = {columns})"
        )
        results = connection.sql(_RESULTS).to_arrow_table().to_pylist()
        scorers = connection.sql("SELECT DISTINCT scorer FROM rollouts WHERE scorer IS NOT NULL ORDER BY 1").fetchall()
    except (OSError, orjson.JSONDecodeError, duckdb.Error) as error:
        raise InputError(f"the files in {directory} are no publication of a model: {error}") from error
    weights = sum(path.stat().st_size for path in directory.glob(f"*{_WEIGHTS}"))
    return {
        **described,
        "adapter": (directory / "adapter_config.json").exists(),
        "results": results,
        "scorers": [name for (name,) in scorers],
        "weights_bytes": weights,
    }


def render_model_card(manifest: Manifest, facts: Facts) -> str:
    """README.md of a model."""
    model, adapter = facts["model"], facts["adapter"]
    header: dict[str, Any] = {
        "pretty_name": manifest.repo_id.partition("/")[2],
        **(hub_licenses([manifest.licenses[OWN]]) if OWN in manifest.licenses else {}),
        "library_name": "peft" if adapter else "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["agent", "agent-distillation", "tool-use", "trajectory-toolkit"],
    }
    if model["base"] and _is_hub_name(model["base"]):
        header |= {"base_model": model["base"], "base_model_relation": "adapter" if adapter else "finetune"}
    body = (
        environment()
        .get_template("model_card.md.jinja")
        .render(
            manifest=manifest,
            facts=facts,
            model=model,
            adapter=adapter,
            settings=yaml.safe_dump(model["metadata"], sort_keys=True, allow_unicode=True)
            if model["metadata"]
            else None,
        )
    )
    return f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---\n\n{body}"


def _is_hub_name(name: str) -> bool:
    return name.count("/") == 1 and not name.startswith(("/", ".", "~"))


def check_model(directory: Path) -> tuple[Manifest, list[Finding]]:
    """See that the publication in `directory` may go out: its manifest, and secrets or personal data in it.

    Raises:
        InputError: a file is not as the manifest says, a number is not what the files hold, or no licence is named.
    """
    manifest = read_manifest(directory / MANIFEST, str(directory))
    if wrong := differences(manifest, directory, [path for path in manifest.files if path != CARD]):
        raise InputError(f"nothing was published: {'; '.join(wrong[:3])}")
    facts = count_model_facts(directory)
    if found := first_difference(manifest.facts, facts):
        raise InputError(f"nothing was published: in {MANIFEST}, {found}")
    check_card(directory, render_model_card(manifest, facts), manifest)
    if OWN not in manifest.licenses:
        raise InputError("nothing was published: no licence is known for the model. Name it: --license SPDX")
    findings = []
    for path in manifest.files:
        if not path.endswith(_WEIGHTS) and path not in _VOCABULARIES:
            findings += scan_text(path, (directory / path).read_text(encoding="utf-8", errors="replace"))
    return manifest, findings
