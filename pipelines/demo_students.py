"""The second part of `toolkit demo`: students trained from curated trajectories, and compared with their controls.

One teacher answers questions on one world as an agent, by chains of thought, and by chains of thought over passages
it is shown. From each curated set a student is trained, all of one size, from one base. All are asked the same
questions: new ones on the world of the training (`test`), and ones on a world none of whose names any of them has
seen (`ood`). Seed 3 of Minipedia is used here and nowhere else: settings were chosen on other worlds.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from pipelines.demo_typing import Words, say, type_at_once, type_command
from toolkit.errors import MissingExtraError
from toolkit.lake.lake import open_lake
from toolkit.llm.local_weights import SHIPPED, TINY

SEED = 3
SIZE = 20_000
SPLITS = ("test", "ood")
QUESTIONS = 200
SAMPLES = 4
"""Of sag, and of a vote over chains of thought. The paper takes 8; here minutes are short."""
ACTION_TOKENS = 256
"""Most that an agent may write in a step; its students write 70, and up to 200 where they plan four searches."""
BASE_STEPS, BASE_TOKENS = 2, 96
"""Of the base without training, which has never written an action that parses: it never stops."""
ASKED = {"agent": 13_000, "cot_rag": 1_100}
"""Questions that the teacher gets, by kind; each agent's trajectory opens with a chain of thought, kept as `cot`."""
LEARNED = {
    "agent": "balance: {by: n_tool_calls, per_value: 1000}",
    "cot": "sample: {n: 3000, seed: 0}",
    "cot_rag": "sample: {n: 1000, seed: 0}",
}
"""What each student learns from; four searches are as rare in questions as they are hard."""
RECIPE = """\
name: {kind}
steps:
  - where: "kind = '{kind}' and role = 'teacher'"
  - where: "correct and stop_reason = 'final_answer'"
  - where: "parse_errors = 0"
  - dedup: {{by: task, keep: first}}
  - {chosen}
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
    say(f"   and {QUESTIONS} questions of the world they know, {QUESTIONS} of one they have never seen")
    trained = {kind: _training(out, kind) for kind in LEARNED}
    thinking = [words for split in SPLITS for words in _thinkers(out, split, unsafe)]
    type_at_once([trained["agent"]], [trained["cot"], trained["cot_rag"], *thinking])
    say("6. The agent answers them, too")
    test, ood = (_agents(out, split, unsafe) for split in SPLITS)
    type_at_once(test, ood)
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
    for kind, chosen in LEARNED.items():
        recipe = out / f"{kind}.yaml"
        recipe.write_text(RECIPE.format(kind=kind, chosen=chosen))
        type_command("filter", recipe, "--lake", lake)


def _training(out: Path, kind: str) -> Words:
    trained = ["--base", TINY, "--config", TRAINING, "--kind", kind, "--out", out / kind]
    return ["train", "--selection", kind, *trained, "--lake", out / "lake"]


def _thinkers(out: Path, split: str, unsafe: list[str]) -> list[Words]:
    """What an agent is compared with, on one split: four ways to answer that need no agent."""
    asked = _asked(out, split)
    thinker = ["evaluate", "--model", f"hf:{out / 'cot'}", "--kind", "cot", *asked]
    reader = ["evaluate", "--model", f"hf:{out / 'cot_rag'}", "--kind", "cot_rag", "--passages", SHOWN, *asked]
    base = ["evaluate", "--model", f"hf:{TINY}", "--prompt", "teacher", "--max-steps", BASE_STEPS]
    searching = _searching(out, split, unsafe, BASE_TOKENS)
    return [
        [*base, *searching, "--name", "base, prompted"],
        [*thinker, "--name", "cot"],
        [*reader, "--name", "cot + passages"],
        [*thinker, "--samples", SAMPLES, "--temperature", "0.7", "--name", f"cot, vote of {SAMPLES}"],
    ]


def _agents(out: Path, split: str, unsafe: list[str]) -> list[Words]:
    """Greedily, and by sag."""
    agent = ["evaluate", "--model", f"hf:{out / 'agent'}", *_searching(out, split, unsafe)]
    sag = [*agent, "--policy", "sag", "--sag-samples", SAMPLES]
    return [[*agent, "--name", "agent"], [*sag, "--name", f"agent, sag of {SAMPLES}"]]


def _asked(out: Path, split: str) -> Words:
    index = out / ("index-ood" if split == "ood" else "index-train")
    return ["--tasks", _world(split), "--limit", QUESTIONS, "--index", index, "--lake", out / "lake"]


def _searching(out: Path, split: str, unsafe: list[str], tokens: int = ACTION_TOKENS) -> Words:
    return [*_asked(out, split), "--passages", 1, "--completion-tokens", tokens, *unsafe]


def _a_question(lake: Path) -> str:
    """One of the world that was never seen, which takes more than one search."""
    asked = "SELECT question FROM evaluated WHERE split = 'ood' AND n_tool_calls > 1 AND correct ORDER BY 1 LIMIT 1"
    found = open_lake(lake).sql(asked).fetchall()
    return str(found[0][0]) if found else "QUESTION"


def _world(split: str) -> str:
    return f"minipedia:{split}?seed={SEED}&size={SIZE}"
