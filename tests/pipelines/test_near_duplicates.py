import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from episodes import Fill, episode, step
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import near_duplicates
from pipelines.filter import Filtered, filter_lake
from pipelines.ingest import import_command
from pipelines.recipe import parse_recipe
from toolkit.api import Lake, open_lake
from toolkit.formats.parsed import ParsedTrajectory
from toolkit.lake.compaction import compact
from toolkit.similarity.shingles import shared, shingle_sets
from toolkit.similarity.sketches import SHINGLE_WORDS, scheme

SCHEME = f"{scheme(programs=False)} {near_duplicates.TEXTS_VERSION}"
WORDS = [f"word{index}" for index in range(400)]
PROGRAM = "hits = web_search('rivers of {}')\nfor hit in hits[:3]:\n    print(hit['title'], len(hit['text']))"
RENAMED = "rows = web_search('towns of {}')\nfor one in rows[:5]:\n    print(one['name'], len(one['body']))  # look"
OTHER = "numbers = [int(x) for x in '{}'.split()]\nwhile numbers:\n    print(sum(numbers), numbers.pop())"


def prose(seed: str, count: int = 60) -> list[str]:
    return random.Random(seed).choices(WORDS, k=count)


def spoken(
    question: str,
    *,
    thought: str | None = None,
    code: str | None = None,
    observation: str | None = None,
    steps: int = 1,
    reward: float | None = None,
) -> ParsedTrajectory:
    """An episode that says what it is told to, and else something of its own."""
    found = episode(question, searches=0, reward=reward, gold=[])
    found.steps = []
    for index in range(steps):
        turn = step("x", observation=observation or " ".join(prose(f"o {question} {index}")))
        turn.thought = thought or " ".join(prose(f"t {question} {index}"))
        turn.code = code or "\n".join(f"{word}()" for word in prose(f"c {question} {index}", 9))
        turn.completion = f"{turn.thought}\n{turn.code}"
        found.steps.append(turn)
    return found


def edited(words: Sequence[str]) -> str:
    return " ".join([*words[:30], "changed", *words[31:]])


def run(lake: Lake, *steps: str, dry_run: bool = False, name: str = "v1", at: int | None = None) -> Filtered:
    lines = "\n".join(f"  - {one}" for one in steps)
    return filter_lake(lake, parse_recipe(f"name: {name}\nsteps:\n{lines}\n", "recipe"), dry_run=dry_run, at=at)


def kept(lake: Lake) -> set[str]:
    relation = lake.sql("SELECT question FROM decisions JOIN trajectories_scored USING (trajectory_id) WHERE kept")
    return {question for (question,) in relation.fetchall()}


def kept_ids(lake: Lake) -> list[str]:
    return [found for (found,) in lake.sql("SELECT trajectory_id FROM decisions WHERE kept ORDER BY 1").fetchall()]


def drops(lake: Lake) -> dict[str, tuple[str, dict[str, object]]]:
    """By question: the question of what stayed in its place, and the evidence."""
    relation = lake.sql("""
        SELECT t.question, n.question, d.evidence FROM decisions d JOIN trajectories_scored t USING (trajectory_id)
        JOIN trajectories_scored n ON n.trajectory_id = d.nearest_kept_id WHERE NOT d.kept""")
    return {question: (stayed, json.loads(evidence)) for question, stayed, evidence in relation.fetchall()}


ROLES: dict[str, Callable[[], list[ParsedTrajectory]]] = {
    "task": lambda: [spoken(" ".join(prose("q"))), spoken(edited(prose("q"))), spoken(" ".join(prose("r")))],
    "actions": lambda: [
        spoken("one", thought=" ".join(prose("t", 200))),
        spoken("two", thought=edited(prose("t", 200))),
        spoken("three"),
    ],
    "code": lambda: [
        spoken("one", code=PROGRAM.format("France")),
        spoken("two", code=RENAMED.format("Spain")),
        spoken("three", code=OTHER.format("1 2")),
    ],
    "observations": lambda: [
        spoken("one", observation=" ".join(prose("o"))),
        spoken("two", observation=edited(prose("o"))),
        spoken("three"),
    ],
}


@pytest.mark.parametrize("by", ROLES)
def test_a_planted_near_duplicate_is_found_in_its_role_and_in_no_other(fill: Fill, by: str) -> None:
    rows = ROLES[by]()
    lake = fill(rows)
    for role in (*ROLES, "trajectory"):
        run(lake, f"dedup: {{by: {role}, jaccard: 0.8}}")
        expected = {rows[1].question: rows[0].question} if role == by else {}
        assert {question: stayed for question, (stayed, _) in drops(lake).items()} == expected, role


def test_a_trajectory_is_what_was_said_and_observed(fill: Fill) -> None:
    said, seen = " ".join(prose("t")), prose("o")
    rows = [
        spoken("one", thought=said, code="print(1)", observation=" ".join(seen)),
        spoken("two", thought=said, code="print(1)", observation=edited(seen)),
        spoken("three", thought=said, code="print(1)"),
    ]
    lake = fill(rows)
    run(lake, "dedup: {by: trajectory, jaccard: 0.8}")
    assert kept(lake) == {"one", "three"}


def test_the_evidence_is_the_exact_similarity_and_the_size_of_the_cluster(fill: Fill) -> None:
    texts = [" ".join(prose("q")), edited(prose("q")), " ".join([*prose("q"), "end"])]
    lake = fill([spoken(text) for text in texts])
    run(lake, "dedup: {by: task, jaccard: 0.8}")
    sets = shingle_sets(texts, SHINGLE_WORDS)
    for text, found in zip(texts[1:], sets[1:], strict=True):
        both = shared(sets[0], found)
        union = len(sets[0]) + len(found) - both
        measured = {"jaccard": round(both / union, 4), "shared_shingles": both, "all_shingles": union, "cluster": 3}
        said = {"by": "task", "keep": "first", "threshold": 0.8}
        assert drops(lake)[text] == (texts[0], {**said, **measured})


def test_keep_decides_which_one_stays(fill: Fill) -> None:
    same = " ".join(prose("t", 200))
    rows = [
        spoken("first", thought=same, code="print(1)", steps=3, reward=0.0),
        spoken("short", thought=same, code="print(1)", steps=1),
        spoken("right", thought=same, code="print(1)", steps=4, reward=1.0),
    ]
    lake = fill(rows)
    for keep, question in (("first", "first"), ("shortest", "short"), ("best_score", "right")):
        run(lake, f"dedup: {{by: actions, jaccard: 0.7, keep: {keep}}}")
        assert kept(lake) == {question}
    run(lake, "where: \"question <> 'right'\"", "dedup: {by: actions, jaccard: 0.7, keep: best_score}")
    assert kept(lake) == {"short"}, "undecided before wrong"


def test_a_prompt_that_all_rows_share_changes_nothing(tmp_path: Path) -> None:
    """The same rollouts as chats, with and without a system prompt of 9 KB, through the import."""
    system = " ".join(prose("system", 1_200))
    assert len(system) > 9_000
    kept_rows = []
    for name, shown in (("without", None), ("with", system)):
        file = tmp_path / f"{name}.jsonl"
        file.write_text("\n".join(json.dumps(chat(index, shown)) for index in range(60)))
        import_command(file, lake=tmp_path / name)
        lake = open_lake(tmp_path / name)
        for by in (*ROLES, "trajectory"):
            run(lake, f"dedup: {{by: {by}, jaccard: 0.6}}", name=by)
        kept_rows.append(
            lake.sql("""
                SELECT selection, source_position, kept, json_extract(evidence, '$.jaccard') AS jaccard
                FROM decisions JOIN trajectories USING (trajectory_id) ORDER BY ALL""").fetchall()
        )
    assert kept_rows[0] == kept_rows[1]
    assert sum(not row[2] for row in kept_rows[0]) > 60, "duplicates were found in several roles"


def chat(index: int, system: str | None) -> dict[str, object]:
    """Every third chat is a near copy of the one before."""
    base = index - 1 if index % 3 == 2 else index
    words = prose(f"chat {base}")
    text = edited(words) if base != index else " ".join(words)
    turns = [{"role": "system", "content": system}] if system else []
    turns.append({"role": "user", "content": f"{' '.join(prose(f'task {base}', 30))} {index}"})
    turns.append({"role": "assistant", "content": f"Thought: {text}\nAction: search[{words[0]} {words[1]}]"})
    turns.append({"role": "user", "content": f"Observation: {' '.join(prose(f'seen {base}'))}"})
    turns.append({"role": "assistant", "content": f"Thought: {words[2]} it is.\nAction: finish[{words[2]}]"})
    return {"messages": turns}


def test_per_task_keeps_so_many_strategies_of_each_task(fill: Fill) -> None:
    codes = [PROGRAM.format("France"), RENAMED.format("Spain"), OTHER.format("1"), OTHER.format("2"), "print(7 ** 2)"]
    # The same programs for two tasks: tasks are not compared with one another.
    lake = fill([spoken(task, code=code) for task in ("q", "r") for code in codes])
    run(lake, "dedup: {by: code, jaccard: 0.8, per_task: 2}")
    rows = lake.sql("""
        SELECT question, source_position, json_extract(evidence, ['$.strategy', '$.jaccard'])
        FROM decisions JOIN trajectories_scored USING (trajectory_id) ORDER BY 2""").fetchall()
    dropped = [("q", 2), ("q", 4), ("q", 5), ("r", 7), ("r", 9), ("r", 10)]
    assert [row[:2] for row in rows if row[2]] == dropped
    assert [row[2] for row in rows[:5]] == [None, [None, "1.0"], None, [None, "1.0"], ["3", None]]


def test_comparing_programs_of_different_questions_is_said(fill: Fill) -> None:
    lake = fill(ROLES["code"]())
    assert "different questions" in notes(run(lake, "dedup: {by: code, jaccard: 0.8}"))
    assert "different questions" not in notes(run(lake, "dedup: {by: code, jaccard: 0.8, per_task: 1}"))


def test_a_copy_of_a_surplus_strategy_goes_in_favour_of_what_stays(fill: Fill) -> None:
    codes = ["print(7 ** 2)", OTHER.format("1"), OTHER.format("2")]
    lake = fill([spoken("q", code=code) for code in codes])
    run(lake, "dedup: {by: code, jaccard: 0.8, per_task: 1}")
    rows = lake.sql("""
        SELECT source_position, n.kept, json_extract(d.evidence, '$.strategy') FROM decisions d
        JOIN trajectories USING (trajectory_id)
        JOIN decisions n ON n.trajectory_id = d.nearest_kept_id ORDER BY 1""").fetchall()
    assert rows == [(2, True, "2"), (3, True, "2")]


def test_rows_that_say_nothing_in_a_role_stay(fill: Fill) -> None:
    silent = [spoken(f"q{index}") for index in range(3)]
    for row in silent:
        for turn in row.steps:
            turn.code, turn.observation = None, None
    lake = fill(silent)
    for by in ("code", "observations"):
        run(lake, f"dedup: {{by: {by}, jaccard: 0.1}}")
        assert len(kept(lake)) == 3
    run(lake, "dedup: {by: code, jaccard: 0.1}")
    assert "3 sketches were in the lake, 0 were made" in run(lake, "dedup: {by: code, jaccard: 0.1}").funnel[0].notes[0]


def test_rows_that_say_nothing_in_a_role_take_no_strategys_place(fill: Fill) -> None:
    rows = [spoken("q", code=code) for code in ("x", "y", "print(7 ** 2)", PROGRAM.format("France"))]
    for row in rows[:2]:
        row.steps[0].code = None
    outcome = run(fill(rows), "dedup: {by: code, jaccard: 0.8, per_task: 2}")
    assert outcome.selection.n_kept == 4


def test_a_surplus_strategy_names_the_nearest_one_that_stays(fill: Fill) -> None:
    searching = "hits = web_search('x')\nfor hit in hits:\n    print(hit)\n"
    codes = [OTHER.format("1"), searching, searching + "print(len(hits))"]
    lake = fill([spoken("q", code=code) for code in codes])
    run(lake, "dedup: {by: code, jaccard: 0.9, per_task: 2}")
    ((position, instead, evidence),) = lake.sql("""
        SELECT t.source_position, n.source_position, d.evidence FROM decisions d
        JOIN trajectories t USING (trajectory_id)
        JOIN trajectories n ON n.trajectory_id = d.nearest_kept_id WHERE NOT d.kept""").fetchall()
    assert (position, instead) == (3, 2)
    assert 0.4 < json.loads(evidence)["estimated_jaccard"] < 0.9


def test_what_an_environment_says_after_the_final_answer_is_no_observation(fill: Fill) -> None:
    rows = [spoken(f"q{index}", observation="Episode finished") for index in range(3)]
    for row in rows:
        row.steps[-1].is_final = True
    rows.append(spoken("another", observation="Episode finished"))
    outcome = run(fill(rows), "dedup: {by: observations, jaccard: 0.8}")
    assert outcome.selection.n_kept == 4


def notes(outcome: Filtered) -> str:
    return " ".join(message for rule in outcome.funnel for message in rule.notes)


def test_sketches_are_stored_with_their_scheme_and_made_once(fill: Fill) -> None:
    lake = fill(ROLES["task"]())
    first = run(lake, "dedup: {by: task, jaccard: 0.8}")
    assert "0 sketches were in the lake, 3 were made" in notes(first)
    stored = lake.sql("SELECT DISTINCT role, scheme, len(values) FROM signatures").fetchall()
    assert stored == [("task", SCHEME, 128)]
    assert "rensa=0.5" in stored[0][1]
    fill([spoken("another")], start=9)
    again = run(lake, "dedup: {by: task, jaccard: 0.8}")
    assert "3 sketches were in the lake, 1 were made" in notes(again)
    past = run(lake, "dedup: {by: task, jaccard: 0.8}", at=first.selection.input_commit)
    assert "3 sketches were in the lake, 0 were made" in notes(past)
    assert past.selection.content_hash == first.selection.content_hash
    assert lake.sql("SELECT count(*) FROM raw.signatures").fetchall() == [(4,)]


def test_sketches_of_another_scheme_or_length_are_made_again(fill: Fill) -> None:
    lake = fill(ROLES["task"]())
    ids = [row[0] for row in lake.sql("SELECT trajectory_id FROM trajectories ORDER BY 1").fetchall()]
    rows = {
        "trajectory_id": ids,
        "attempt": [0, 0, 0],
        "role": ["task", "task", "actions"],
        "scheme": [SCHEME.replace("rensa=", "rensa=9"), SCHEME, SCHEME],
        "values": pa.array([[1] * 128, [1] * 64, [1] * 128], pa.list_(pa.uint64())),
    }
    with lake.write("by somebody else") as batch:
        batch.add_arrow("signatures", pa.table(rows))
    assert "0 sketches were in the lake, 3 were made" in notes(run(lake, "dedup: {by: task, jaccard: 0.8}"))
    assert len(kept(lake)) == 2


def test_a_dry_run_stores_no_sketch(fill: Fill) -> None:
    lake = fill(ROLES["task"]())
    before = lake.snapshot().number
    outcome = run(lake, "dedup: {by: task, jaccard: 0.8}", dry_run=True)
    assert (outcome.selection.n_kept, lake.snapshot().number) == (2, before)


def test_later_rules_see_only_what_stayed(fill: Fill) -> None:
    """Among rows that an earlier rule dropped, nothing is compared; two dedup rules may follow each other."""
    lake = fill(ROLES["task"]() + ROLES["code"]())
    outcome = run(
        lake,
        f"where: \"question <> '{' '.join(prose('q'))}'\"",
        "dedup: {by: task, jaccard: 0.8}",
        "dedup: {by: code, jaccard: 0.8}",
    )
    assert [rule.dropped for rule in outcome.funnel] == [1, 0, 1]


def test_blocks_compaction_and_stored_sketches_do_not_show(fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = fill(mixed(80, seed=5))
    run(lake, "dedup: {by: trajectory, jaccard: 0.7}", dry_run=True)
    whole = run(lake, "dedup: {by: trajectory, jaccard: 0.7}").selection
    stored = run(lake, "dedup: {by: trajectory, jaccard: 0.7}").selection
    compact(lake)
    monkeypatch.setattr(near_duplicates, "BLOCK_ROWS", 7)
    monkeypatch.setattr(near_duplicates, "READ_ROWS", 2)
    parts = run(lake, "dedup: {by: actions, jaccard: 0.7}", "dedup: {by: trajectory, jaccard: 0.7}").selection
    monkeypatch.undo()
    alone = run(lake, "dedup: {by: actions, jaccard: 0.7}", "dedup: {by: trajectory, jaccard: 0.7}").selection
    assert 0 < whole.n_kept < 80
    assert whole.content_hash == stored.content_hash
    assert parts.content_hash == alone.content_hash


def mixed(count: int, seed: int) -> list[ParsedTrajectory]:
    """Episodes in families whose members differ more and more."""
    choose = random.Random(seed)
    rows = []
    for index in range(count):
        words = prose(f"family {choose.randrange(count // 4)}", 80)
        changes = choose.choice([0, 1, 4, 20])
        for _ in range(changes):
            words[choose.randrange(80)] = f"new{choose.randrange(9_999)}"
        rows.append(spoken(f"q{index}", thought=" ".join(words), code="print(1)", observation="seen"))
    return rows


@settings(max_examples=5, deadline=None)
@given(
    seed=st.integers(0, 10**6), jaccard=st.sampled_from([0.4, 0.7, 0.9]), keep=st.sampled_from(["first", "shortest"])
)
def test_what_stays_does_not_depend_on_the_order_of_import_and_nothing_goes_without_a_near_one(
    tmp_path_factory: pytest.TempPathFactory, seed: int, jaccard: float, keep: str
) -> None:
    from datetime import UTC, datetime

    from toolkit.formats.rows import Origin, to_rows

    rows = list(enumerate(mixed(24, seed=seed), start=1))
    found = []
    for shuffled in (rows, random.Random(seed).sample(rows, len(rows))):
        lake = open_lake(tmp_path_factory.mktemp("order") / "lake", create=True)
        origin = Origin(run_id="0" * 24, dataset="d", started_at=datetime(2026, 1, 1, tzinfo=UTC))
        for part in (shuffled[:10], shuffled[10:]):
            with lake.write("test") as batch:
                for position, parsed in part:
                    batch.add(to_rows(parsed, position, origin))
        run(lake, f"dedup: {{by: actions, jaccard: {jaccard}, keep: {keep}}}")
        found.append(kept_ids(lake))
    assert found[0] == found[1]
    texts = {f"q{index - 1}": "\n".join([row.steps[0].thought or "", row.steps[0].code or ""]) for index, row in rows}
    for question, (stayed, evidence) in drops(lake).items():
        assert stayed in kept(lake)
        left, right = shingle_sets([texts[question], texts[stayed]], SHINGLE_WORDS)
        both = shared(left, right)
        exact = both / (len(left) + len(right) - both)
        assert exact >= jaccard
        assert evidence["jaccard"] == round(exact, 4)


def test_two_thousand_rows_and_more_are_sketched_in_processes_alike(fill: Fill) -> None:
    rows = [spoken(f"q{index % 1_500}", thought=" ".join(prose(f"t{index % 1_500}", 20))) for index in range(2_200)]
    outcome = run(fill(rows), "dedup: {by: actions, jaccard: 0.8}")
    assert outcome.selection.n_kept == 1_500
