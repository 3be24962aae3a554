"""The card of a dataset: a function of the manifest and the schemas of the files, and nothing else.

Invariant: rendering twice gives the same text, so that a changed number shows. Text from
trajectories is escaped: it cannot add headings, links or HTML to the card.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from pipelines.publish.configurations import CONFIGURATIONS, DATA, data_files
from pipelines.publish.facts import Facts
from pipelines.publish.gate import licensed_parts
from pipelines.publish.plots import FIGURE
from schemas.dictionary import meanings
from schemas.rollouts import Step, Trajectory
from toolkit.errors import InputError, MissingExtraError
from toolkit.hub.manifest import CARD, Manifest, differences

PROMPT_CHARS = 4_000
"""Characters of a prompt that the card shows; `lake/prompts.parquet` holds the whole text."""
PROMPTS_SHOWN = 5

_HUB_LICENSES = frozenset(
    "apache-2.0 mit cc0-1.0 cc-by-4.0 cc-by-3.0 cc-by-2.0 cc-by-sa-4.0 cc-by-sa-3.0 cc-by-nc-4.0 cc-by-nc-sa-4.0"
    " cc-by-nd-4.0 cc-by-nc-nd-4.0 bsd-2-clause bsd-3-clause gpl-2.0 gpl-3.0 agpl-3.0 lgpl-3.0 mpl-2.0 isc"
    " unlicense odbl pddl cdla-permissive-2.0".split()
)
_RENAMED = {"ODC-By-1.0": "odc-by", "ODbL-1.0": "odbl", "PDDL-1.0": "pddl", "GPL-3.0-only": "gpl-3.0"}
_SIZES = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")]


def render_card(manifest: Manifest, facts: Facts, directory: Path) -> str:
    """README.md of the publication in `directory`, with `facts` as counted there."""
    schemas = _schemas(directory)
    parts = licensed_parts(facts, manifest.licenses)
    template = environment().get_template("dataset_card.md.jinja")
    body = template.render(
        manifest=manifest,
        facts=facts,
        parts=parts,
        columns=_columns(schemas),
        figure=FIGURE,
        recipe=yaml.safe_dump(facts["selection"]["recipe"], sort_keys=False, allow_unicode=True),
        prompts=facts["prompts"][:PROMPTS_SHOWN],
        prompt_chars=PROMPT_CHARS,
        decontamination=[row for row in facts["funnel"] if "decontaminate" in row["rule"]],
        decontaminated="decontaminate" in str(facts["selection"]["recipe"]),
    )
    header = _header(manifest, facts, parts, schemas, directory)
    return f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---\n\n{body}"


def environment() -> Environment:
    """Where card templates are read, with the filters that escape."""
    # No autoescape: the result is Markdown, where `cell` and `fence` do what is needed.
    loader = PackageLoader("pipelines.publish")
    made = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters |= {"cell": cell, "fence": fence, "number": number}
    return made


def cell(value: object) -> str:
    """`value` as a cell of a Markdown table: nothing in it is markup."""
    if value is None:
        return "–"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value)
    text = html.escape(" ".join(str(value).split()), quote=False)
    return re.sub(r"([\\`*_{}\[\]|~])", r"\\\1", text)


def number(value: float | None) -> str:
    """A number with thousands marked."""
    return "–" if value is None else f"{value:,}"


def fence(text: str, language: str = "") -> str:
    """`text` as a code block that it cannot close."""
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}"


def hub_licenses(names: Mapping[str, None] | list[str]) -> dict[str, Any]:
    """The `license` entries of a header for SPDX expressions; what the Hub does not know is `other`."""
    known = list(dict.fromkeys(_RENAMED.get(name, name.lower()) for name in names))
    known = [name if name in (*_HUB_LICENSES, "odc-by") else "other" for name in known]
    known = list(dict.fromkeys(known))
    header: dict[str, Any] = {"license": known[0] if len(known) == 1 else known}
    if known == ["other"]:
        header["license_name"] = re.sub(r"[^a-z0-9.]+", "-", " ".join(names).lower())
        header["license_link"] = "README.md"
    return header


def _header(
    manifest: Manifest, facts: Facts, parts: list[Facts], schemas: dict[str, pa.Schema], directory: Path
) -> dict[str, Any]:
    names = [part["license"] for part in parts if part["license"]]
    size = next((label for limit, label in _SIZES if facts["trajectories"] < limit), "n>1M")
    return {
        "pretty_name": manifest.repo_id.partition("/")[2],
        **(hub_licenses(list(dict.fromkeys(names))) if names else {}),
        "task_categories": ["question-answering", "text-generation"],
        "size_categories": [size],
        "tags": ["agent", "trajectories", "agent-distillation", "tool-use", "trajectory-toolkit"],
        "configs": [_configuration(name, directory) for name in CONFIGURATIONS],
        "dataset_info": [_info(name, schemas[name], facts) for name in CONFIGURATIONS],
    }


def _configuration(name: str, directory: Path) -> dict[str, Any]:
    splits = dict.fromkeys(split for configuration, split, _ in data_files(directory) if configuration == name)
    files = [{"split": split, "path": f"{DATA}/{name}/{split}-*.parquet"} for split in sorted(splits, key=_order)]
    return {"config_name": name, **({"default": True} if name == "default" else {}), "data_files": files}


def _info(name: str, schema: pa.Schema, facts: Facts) -> dict[str, Any]:
    try:
        from datasets import Features
    except ImportError as error:
        raise MissingExtraError("datasets", "hub", "a dataset card") from error
    splits = sorted(facts["splits"], key=lambda row: _order(row["split"]))
    return {
        "config_name": name,
        "features": Features.from_arrow_schema(schema)._to_yaml_list(),
        "splits": [{"name": row["split"], "num_examples": row[name]} for row in splits],
    }


def _order(split: str) -> tuple[int, str]:
    """Train first, then validation, then test, then others."""
    known = ["train", "validation", "test"]
    return (known.index(split) if split in known else len(known), split)


def _schemas(directory: Path) -> dict[str, pa.Schema]:
    found: dict[str, pa.Schema] = {}
    for configuration, _, path in data_files(directory):
        found.setdefault(configuration, pq.read_schema(path))
    return found


_OURS = {
    "question": "The question.",
    "answers": "Gold answer first, then its aliases; empty when none is known.",
    "system_prompt": "Text of the system prompt. Null: there was none, or it is not known.",
    "tools": "Tool definitions as a JSON array. Null: none, or not known.",
    "steps": "The steps in order: the columns of `steps`, with `weight` and the `tool_calls` of each.",
    "domain": "How answers are compared: fact, math, other.",
    "model": "Name of the model that wrote it. Null: not stated.",
    "correct": "Whether the final answer is right: the newest grade or, without a gold answer, the source's reward."
    " Null: undecided.",
    "f1": "Word overlap of a factual answer with the gold answer. Null: not graded so.",
    "reward": "The environment's own verdict. Null: none.",
    "weight": "Weight of the step's tokens in the training loss; 0: stays in context, is not trained on.",
    "messages": "The conversation as chat templates take it; `weight` on assistant turns.",
}


def _columns(schemas: dict[str, pa.Schema]) -> dict[str, list[tuple[str, str, str]]]:
    """Name, type and meaning of every column, by configuration."""
    texts = {"default": meanings(Trajectory), "steps": meanings(Step), "messages": meanings(Trajectory)}
    return {
        name: [(field.name, _type(field.type), {**texts[name], **_OURS}.get(field.name, "")) for field in schema]
        for name, schema in schemas.items()
    }


def _type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"list of {_type(kind.value_type)}"
    if pa.types.is_struct(kind):
        return "struct"
    return "timestamp" if pa.types.is_timestamp(kind) else str(kind)


def check_card(directory: Path, should_be: str, manifest: Manifest) -> None:
    """See that the card in `directory` is `should_be`, which was made from numbers counted just now.

    Raises:
        InputError: it is not; the message shows the first line that differs.
    """
    is_ = (directory / CARD).read_text(encoding="utf-8")
    for number, (stated, counted) in enumerate(zip(is_.splitlines(), should_be.splitlines(), strict=False), start=1):
        if stated != counted:
            raise InputError(
                f"nothing was published: line {number} of {CARD} says {stated[:100]!r}, the files say {counted[:100]!r}"
            )
    if is_ != should_be:
        raise InputError(f"nothing was published: {CARD} is longer or shorter than what the files give")
    if wrong := differences(manifest, directory, [CARD]):
        raise InputError(f"nothing was published: {wrong[0]}")
