"""The second part of `toolkit demo`: students trained from curated trajectories, and compared with their controls.

One teacher answers questions on one world as an agent, by chains of thought, and by chains of thought over passages
it is shown. From each curated set a student is trained, all of one size, from one base. All are asked the same
questions: new ones on the world of the training (`test`), and ones on a world none of whose names any of them has
seen (`ood`). Seeds 1 of Minipedia are used here and nowhere else: settings were chosen on other worlds.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from pipelines.demo_typing import say, type_command
from toolkit.errors import MissingExtraError
from toolkit.lake.lake import open_lake
from toolkit.llm.local_weights import SHIPPED, TINY

SEED = 1
SIZE = 20_000
SPLITS = ("test", "ood")
QUESTIONS = 200
SAMPLES = 8
ACTION_TOKENS = 128
"""Most that an agent may write in a step; its students write 50."""
BASE_STEPS = 3
"""Of the base without training, which has never written an action that parses."""
ASKED = {"agent": 7_000, "cot_rag": 2_200}
"""Questions that the teacher gets, by kind; each agent's trajectory opens with a chain of thought, kept as `cot`."""
LEARNED = {"agent": 6_000, "cot": 6_000, "cot_rag": 2_000}
"""Most that each student learns from: the last reads four times as much a trajectory, and minutes are short."""
RECIPE = """\
name: {kind}
steps:
  - where: "kind = '{kind}' and role = 'teacher'"
  - where: "correct and stop_reason = 'final_answer'"
  - where: "parse_errors = 0"
  - dedup: {{by: task, keep: first}}
  - sample: {{n: {n}, seed: 0}}
  - mask_steps: "error_kind <> 'none'"
"""
TEACHER = ("--teacher", "oracle:recall=1", "--slips", "0.1")
"""An oracle that, as large models do, knows the facts by heart when it thinks without searching."""
SHOWN = 3
"""Passages in the prompt of `cot_rag`. An agent's searches show one."""
TRAINING = SHIPPED / "train.yaml"


def check_extras() -> None:
    """Say at once what is not installed.

    Raises:
        MissingExtraError: what trains.
    """
    if find_spec("trl") is None:
        raise MissingExtraError("trl", "train", "training students (or leave them out by --quick)")


def make_students(out: Path, unsafe: list[str]) -> list[list[str]]:
    """Train and compare; commands to try next."""
    lake = out / "lake"
    say(f"4. Trajectories to learn from: {ASKED['agent']:,} questions on a world of {SIZE:,} articles")
    _teach(out, lake, unsafe)
    say("5. Three students: an agent, one that thinks, one that thinks over passages")
    for kind in LEARNED:
        trained = ["--base", TINY, "--config", TRAINING, "--kind", kind, "--out", out / kind]
        type_command("train", "--selection", kind, *trained, "--lake", lake)
    say(f"6. {QUESTIONS} questions of the world they know, {QUESTIONS} of one they have never seen")
    for split in SPLITS:
        _examine(out, lake, split, unsafe)
    type_command("compare", "--baseline", "agent", "--lake", lake, "--html", out / "compare.html", "--overwrite")
    student = ["--model", f"hf:{out / 'agent'}", "--prompt", "student"]
    searching = ["--index", str(out / "index-ood"), "--passages", "1", *unsafe]
    return [
        ["ask", _a_question(lake), *student, *searching],
        ["compare", "--by", "family", "--baseline", "agent", "--lake", str(lake)],
    ]


def _teach(out: Path, lake: Path, unsafe: list[str]) -> None:
    for split, name in (("train", "index-train"), ("ood", "index-ood")):
        type_command("index", _world(split), "--embedder", "lexical", "--index", out / name)
    asked = ["--tasks", _world("train"), "--index", out / "index-train", *TEACHER, "--lake", lake]
    type_command("generate", "--limit", ASKED["agent"], *asked, "--passages", 1, *unsafe)
    type_command("generate", "--kind", "cot_rag", "--limit", ASKED["cot_rag"], *asked, "--passages", SHOWN)
    type_command("score", "--lake", lake)
    for kind in LEARNED:
        recipe = out / f"{kind}.yaml"
        recipe.write_text(RECIPE.format(kind=kind, n=LEARNED[kind]))
        type_command("filter", recipe, "--lake", lake)


def _examine(out: Path, lake: Path, split: str, unsafe: list[str]) -> None:
    """All six ways to answer, on one split; a rollout that outgrows the tiny context is a wrong answer, and no more."""
    index = out / ("index-ood" if split == "ood" else "index-train")
    asked = ["--tasks", _world(split), "--limit", QUESTIONS, "--index", index, "--lake", lake]
    searching = [*asked, "--passages", 1, "--completion-tokens", ACTION_TOKENS, *unsafe]
    agent = ["evaluate", "--model", f"hf:{out / 'agent'}", *searching]
    thinker = ["evaluate", "--model", f"hf:{out / 'cot'}", "--kind", "cot", *asked]
    reader = ["evaluate", "--model", f"hf:{out / 'cot_rag'}", "--kind", "cot_rag", "--passages", SHOWN, *asked]
    voting = ["--samples", SAMPLES, "--temperature", "0.7"]
    base = ["evaluate", "--model", f"hf:{TINY}", "--prompt", "teacher", "--max-steps", BASE_STEPS, *searching]
    sag = ["--policy", "sag", "--sag-samples", SAMPLES]
    contestants = {
        "base, prompted": base,
        "cot": thinker,
        "cot + passages": reader,
        f"cot, vote of {SAMPLES}": [*thinker, *voting],
        "agent": agent,
        f"agent, sag of {SAMPLES}": [*agent, *sag],
    }
    for name, words in contestants.items():
        type_command(*words, "--name", name, accept=(0, 1))


def _a_question(lake: Path) -> str:
    """One of the world that was never seen, which takes more than one search."""
    asked = "SELECT question FROM evaluated WHERE split = 'ood' AND n_tool_calls > 1 AND correct ORDER BY 1 LIMIT 1"
    found = open_lake(lake).sql(asked).fetchall()
    return str(found[0][0]) if found else "QUESTION"


def _world(split: str) -> str:
    return f"minipedia:{split}?seed={SEED}&size={SIZE}"
