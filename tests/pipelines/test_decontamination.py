import json
import random
from pathlib import Path

import pytest
from episodes import Fill, episode
from planted_contamination import Entry, benchmark, boilerplate, clean, competition, copied, recalled, rollout, shown

from pipelines.filter import Filtered, filter_lake
from pipelines.recipe import parse_recipe
from toolkit.api import Lake
from toolkit.cli.main import run
from toolkit.errors import InputError, QueryError, RecipeError

KINDS = ("task", "answer", "passage")


def write(path: Path, entries: list[Entry]) -> Path:
    rows = [{"id": f"q{at}", "question": entry.question, "answer": entry.answer} for at, entry in enumerate(entries)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def decontaminate(lake: Lake, against: str, options: str = "", steps: str = "") -> Filtered:
    text = f"name: v1\nsteps:\n{steps}  - decontaminate: {{against: ['{against}']{options}}}\n"
    return filter_lake(lake, parse_recipe(text, "recipe"))


def hits(lake: Lake) -> list[tuple[object, ...]]:
    query = (
        "SELECT dataset, benchmark_id, c.kind, match, kept FROM contamination c JOIN trajectories USING (trajectory_id)"
    )
    return lake.sql(f"{query} ORDER BY ALL").fetchall()


@pytest.mark.parametrize("seed", range(3))
def test_planted_contaminations_are_found_in_kind_and_boilerplate_is_not(fill: Fill, tmp_path: Path, seed: int) -> None:
    entries = benchmark(seed)
    path = write(tmp_path / "made_up.jsonl", [*entries, *competition()])
    random_ = random.Random(f"planting {seed}")
    planted = {
        "task": [rollout(copied(entry, at)) for at, entry in enumerate(entries)],
        "answer": [recalled(random_, entry, at) for at, entry in enumerate(entries)],
        "passage": [shown(random_, entry) for entry in entries],
    }
    for kind, episodes in planted.items():
        fill(episodes, dataset=kind)
    fill([rollout(question) for question in boilerplate()], dataset="boilerplate")
    lake = fill(clean(random_, 200), dataset="clean")
    outcome = decontaminate(lake, str(path))
    query = """
        SELECT dataset, 'q' || source_position - 1 = benchmark_id AND c.kind = dataset AS is_right, kept
        FROM trajectories JOIN contamination c USING (trajectory_id)"""
    found = lake.sql(query).fetchall()
    assert {dataset for dataset, _, _ in found} == set(KINDS)
    for kind in KINDS:
        right = [kept for dataset, is_right, kept in found if dataset == kind and is_right]
        assert len(right) >= 49, kind
        assert set(right) == {kind == "passage"}
    assert sum(not is_right for _, is_right, _ in found) == 0
    assert outcome.selection.n_input - outcome.selection.n_kept == sum(not kept for _, _, kept in found)


def test_without_discount_the_same_boilerplate_would_be_taken_for_contamination(fill: Fill, tmp_path: Path) -> None:
    # One look-alike among nothing that shows how common its phrases are.
    lake = fill([rollout(boilerplate()[0])])
    decontaminate(lake, str(write(tmp_path / "b.jsonl", competition()[:1])))
    assert [(kind, match) for _, _, kind, match, _ in hits(lake)] == [("task", "near")]
