"""What curation is worth: two students from one careless teacher, by as many trajectories, curated and as they came.

    python -m bench.curation [--out DIR] [--trajectories 5000] [--questions 250]

A third of the teacher's turns slip: searches that miss, code that does not run, turns without code, wrong endings.
The world is one that neither the demo nor the choice of settings used. `toolkit compare` tests the two question by
question (McNemar), on new questions of the same world and on a world of other names.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from pipelines.demo_typing import accepted_level, type_command
from toolkit.llm.local_weights import SHIPPED, TINY

WORLD = "minipedia:{split}?seed=2&size=20000"
SLIPS = 0.3
SAMPLED = "  - sample: {{n: {n}, seed: 0}}\n"
RECIPES = {
    "raw": "name: raw\nsteps:\n  - where: \"kind = 'agent' and role = 'teacher'\"\n" + SAMPLED,
    "curated": "name: curated\nsteps:\n  - where: \"kind = 'agent' and role = 'teacher'\"\n"
    "  - where: \"correct and stop_reason = 'final_answer'\"\n"
    '  - where: "parse_errors = 0"\n' + SAMPLED + "  - mask_steps: \"error_kind <> 'none'\"\n",
}


def main() -> None:
    """Run it in --out, or in a directory that is thrown away."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="directory to keep; the same command goes on in it")
    parser.add_argument("--trajectories", type=int, default=5_000)
    parser.add_argument("--questions", type=int, default=250)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(options.out or Path(folder), options.trajectories, options.questions)


def measure(out: Path, trajectories: int, questions: int) -> None:
    """Teach, select twice, train twice, compare."""
    lake, unsafe = out / "lake", accepted_level()
    for split in ("train", "ood"):
        type_command("index", _world(split), "--embedder", "lexical", "--index", out / f"index-{split}")
    searching = ["--passages", 1, *unsafe, "--lake", lake]
    taught = ["--tasks", _world("train"), "--limit", 2 * trajectories, "--index", out / "index-train", *searching]
    type_command("generate", "--slips", SLIPS, *taught)
    type_command("score", "--lake", lake)
    for name, recipe in RECIPES.items():
        (out / f"{name}.yaml").write_text(recipe.format(n=trajectories))
        type_command("filter", out / f"{name}.yaml", "--lake", lake)
        trained = ["--base", TINY, "--config", SHIPPED / "train.yaml", "--out", out / name, "--lake", lake]
        type_command("train", "--selection", name, *trained)
        for split, index in (("test", "train"), ("ood", "ood")):
            asked = ["--tasks", _world(split), "--limit", questions, "--index", out / f"index-{index}", *searching]
            type_command("evaluate", "--model", f"hf:{out / name}", "--name", name, *asked, accept=(0, 1))
    type_command("compare", "--baseline", "raw", "--lake", lake)


def _world(split: str) -> str:
    return WORLD.format(split=split)


if __name__ == "__main__":
    main()
