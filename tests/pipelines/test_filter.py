import json
from datetime import timedelta
from pathlib import Path

import pytest
from episodes import Fill, episode
from hypothesis import given
from hypothesis import strategies as st

from pipelines.filter import Filtered, filter_lake
from pipelines.quotas import share_out
from pipelines.recipe import parse_recipe
from toolkit.api import Lake
from toolkit.cli.main import run as main
from toolkit.errors import QueryError
from toolkit.lake.selections import find_selection


def run(lake: Lake, *steps: str, name: str = "v1") -> Filtered:
    lines = "\n".join(f"  - {step}" for step in steps) if steps else "  []"
    return filter_lake(lake, parse_recipe(f"name: {name}\nsteps:\n{lines}\n", "recipe"))


def decisions(lake: Lake, name: str = "v1") -> dict[str, dict[str, object]]:
    """Decisions by question."""
    relation = lake.sql(f"""
        SELECT t.question, d.kept, d.rule, d.evidence, n.question AS in_favour_of, n.dataset AS its_dataset
        FROM decisions d JOIN trajectories_scored t USING (trajectory_id)
        LEFT JOIN trajectories_scored n ON n.trajectory_id = d.nearest_kept_id
        WHERE d.selection = '{name}' ORDER BY t.source_position""")
    return {str(row["question"]): row for row in relation.to_arrow_table().to_pylist()}


def test_every_input_row_has_exactly_one_decision(fill: Fill) -> None:
    lake = fill([episode(f"q{index}", searches=index % 3) for index in range(30)])
    outcome = run(lake, 'where: "n_steps > 1"', "sample: {n: 5}")
    counted = lake.sql("SELECT count(*), count(DISTINCT trajectory_id), count(*) FILTER (kept) FROM decisions")
    assert counted.fetchall() == [(30, 30, 5)]
    assert (outcome.selection.n_input, outcome.selection.n_kept) == (30, 5)
    assert sum(step.dropped for step in outcome.funnel) == 25


def test_where_says_which_part_failed_and_what_it_saw(fill: Fill) -> None:
    lake = fill([episode("short", searches=0), episode("long", searches=3), episode("open", answer=None)])
    run(lake, """where: "n_steps < 3 and stop_reason = 'final_answer'" """)
    found = decisions(lake)
    assert found["short"]["kept"]
    evidence = json.loads(str(found["long"]["evidence"]))
    assert evidence == {"failed": ["n_steps < 3"], "values": {"stop_reason": "final_answer", "n_steps": 4}}
    assert json.loads(str(found["open"]["evidence"]))["failed"] == ["stop_reason = 'final_answer'"]


def test_the_last_filter_counts_even_if_the_clock_was_set_back(fill: Fill) -> None:
    lake = fill([episode("q")])
    first = run(lake, 'where: "false"').selection
    ahead = first.created_at + timedelta(days=1)
    with lake.write("a machine whose clock is ahead") as batch:
        batch.add([first.model_copy(update={"created_at": ahead})])
    again = run(lake).selection
    assert find_selection(lake.snapshot(), "v1") == again
    assert again.created_at > ahead
    assert decisions(lake)["q"]["kept"]


def test_a_null_verdict_does_not_pass(fill: Fill) -> None:
    lake = fill([episode("graded", reward=1.0, gold=[]), episode("ungraded", gold=[])])
    run(lake, "where: correct")
    assert [row["kept"] for row in decisions(lake).values()] == [True, False]


def test_equal_episodes_are_dropped_in_favour_of_the_first_dataset(fill: Fill) -> None:
    twins = [episode("twin"), episode("single")]
    fill(twins, dataset="b")
    lake = fill(twins[:1], dataset="a")
    run(lake, "dedup: {by: trajectory}")
    dropped = lake.sql("""
        SELECT t.dataset, n.dataset, d.rule, json_extract_string(d.evidence, '$.equal') FROM decisions d
        JOIN trajectories t USING (trajectory_id)
        JOIN trajectories n ON n.trajectory_id = d.nearest_kept_id WHERE NOT d.kept""")
    assert dropped.fetchall() == [("b", "a", "1: dedup", "2")]


def test_dedup_by_task_ignores_case_and_spacing_and_can_keep_the_shortest(fill: Fill) -> None:
    lake = fill([episode("Who is  it?", searches=3), episode("who IS it?", searches=1), episode("who was it?")])
    run(lake, "dedup: {by: task, keep: shortest}")
    assert [row["kept"] for row in decisions(lake).values()] == [False, True, True]


def test_dedup_by_actions_never_takes_trajectories_without_actions_for_equal(fill: Fill) -> None:
    silent = [episode(f"q{index}", searches=0) for index in range(2)]
    for parsed in silent:
        parsed.steps[0].code = None
    acting = [episode("one"), episode("two")]
    for parsed in acting:
        parsed.steps[0].code = "search[the same]"
    lake = fill([*silent, *acting])
    run(lake, "dedup: {by: actions}")
    assert [row["kept"] for row in decisions(lake).values()] == [True, True, True, False]


def test_best_of_keeps_the_best_of_each_task_and_says_its_place(fill: Fill) -> None:
    lake = fill([episode("q", searches=count) for count in (3, 1, 2)] + [episode("other", searches=5)])
    run(lake, "best_of: {per_task: 1, order_by: [n_steps]}")
    relation = lake.sql("""
        SELECT n_steps, kept, json_extract(evidence, '$.place') FROM decisions
        JOIN trajectories USING (trajectory_id) ORDER BY n_steps""")
    assert relation.fetchall() == [(2, True, None), (3, False, "2"), (4, False, "3"), (6, True, None)]


def test_masked_steps_stay_in_the_selection_with_weight_zero(fill: Fill) -> None:
    lake = fill([episode("stumbled", failing=2), episode("clean"), episode("out", failing=1)])
    outcome = run(lake, "mask_steps: \"error_kind <> 'none'\"", "where: \"question <> 'out'\"")
    assert outcome.selection.n_kept == 2
    rows = lake.sql("SELECT step_index, weight, rule FROM step_weights ORDER BY 1").fetchall()
    assert rows == [(0, 0.0, "1: mask_steps"), (1, 0.0, "1: mask_steps")]
    assert (outcome.masked_steps, outcome.unmasked_none) == (2, 0)


def test_a_trajectory_with_every_step_masked_is_counted(fill: Fill) -> None:
    lake = fill([episode("q")])
    assert run(lake, 'mask_steps: "true"').unmasked_none == 1


def test_a_sample_keeps_the_shares_of_its_strata_and_repeats_for_a_seed(fill: Fill) -> None:
    fill([episode(f"a{index}") for index in range(30)], dataset="a")
    lake = fill([episode(f"b{index}") for index in range(10)], dataset="b")
    first = run(lake, "sample: {n: 8, by: dataset, seed: 1}")
    kept = "SELECT dataset, count(*) FROM decisions JOIN trajectories USING (trajectory_id) WHERE kept GROUP BY 1"
    assert lake.sql(f"{kept} ORDER BY 1").fetchall() == [("a", 6), ("b", 2)]
    again = run(lake, "sample: {n: 8, by: dataset, seed: 1}")
    other = run(lake, "sample: {n: 8, by: dataset, seed: 2}")
    assert first.selection.content_hash == again.selection.content_hash != other.selection.content_hash


def test_the_hash_follows_content_and_weights_and_not_the_order_of_import(fill: Fill, tmp_path: Path) -> None:
    lake = fill([episode("one", failing=1), episode("two")])
    plain = run(lake).selection.content_hash
    masked = run(lake, "mask_steps: \"error_kind <> 'none'\"").selection.content_hash
    fill([episode("three")], start=3)
    dropped = run(lake, "where: \"question <> 'three'\"").selection.content_hash
    assert plain != masked
    assert plain == dropped


def test_filtering_again_under_a_name_replaces_what_people_see(fill: Fill) -> None:
    lake = fill([episode("one"), episode("two")])
    run(lake)
    before = lake.snapshot().number
    run(lake, "where: \"question = 'one'\"")
    assert [row["kept"] for row in decisions(lake).values()] == [True, False]
    assert lake.sql("SELECT count(*) FROM decisions", at=before).fetchall() == [(2,)]
    assert lake.sql("SELECT count(*) FILTER (kept) FROM decisions", at=before).fetchall() == [(2,)]


def test_a_dry_run_writes_nothing(fill: Fill) -> None:
    lake = fill([episode("one")])
    before = lake.snapshot().number
    outcome = filter_lake(lake, parse_recipe("name: v1\nsteps: []\n", "r"), dry_run=True)
    assert (outcome.commit, outcome.selection.n_kept, lake.snapshot().number) == (None, 1, before)


@pytest.mark.parametrize(
    ("step", "finding"),
    [
        ('where: "n_step > 1"', "n_step"),
        ('where: "question"', "VARCHAR, expected BOOLEAN"),
        ('where: "n_steps >"', "does not parse"),
        ('where: "true) UNION ALL SELECT * FROM trajectories_scored WHERE (true"', "must be one expression"),
        ("mask_steps: \"correct = 'x'\"", "correct"),
        ("best_of: {per_task: 1, order_by: [nothing]}", "no column 'nothing'"),
        ("sample: {n: 1, by: nothing}", "no column 'nothing'"),
    ],
)
def test_a_rule_that_does_not_fit_stops_before_anything_is_written(fill: Fill, step: str, finding: str) -> None:
    lake = fill([episode("one")])
    before = lake.snapshot().number
    with pytest.raises(QueryError, match=r"step 2: ") as caught:
        run(lake, 'where: "true"', step)
    assert finding in str(caught.value)
    assert lake.snapshot().number == before


@given(st.integers(0, 200), st.lists(st.integers(0, 60), max_size=6))
def test_shares_add_up_and_stay_within_their_strata(n: int, sizes: list[int]) -> None:
    shares = share_out(n, sizes)
    assert sum(shares) == min(n, sum(sizes))
    assert all(0 <= share <= size for share, size in zip(shares, sizes, strict=True))
    if n < sum(sizes):
        assert all(abs(share - n * size / sum(sizes)) < 1 for share, size in zip(shares, sizes, strict=True))


@pytest.mark.parametrize(
    ("predicate", "advice"),
    [("false", "next: toolkit stats --selection v1 --lake "), ("true", "next: toolkit export --selection v1 --format")],
    ids=["nothing", "all"],
)
def test_what_is_proposed_next_fits_what_is_left(
    fill: Fill, tmp_path: Path, capsys: pytest.CaptureFixture[str], predicate: str, advice: str
) -> None:
    lake, recipe = fill([episode("q")]), tmp_path / "recipe.yaml"
    recipe.write_text(f'name: v1\nsteps: [{{where: "{predicate}"}}]\n')
    assert main(["filter", str(recipe), "--lake", str(lake.path)]) == 0
    said = capsys.readouterr().err
    assert [line for line in said.splitlines() if line.startswith("next:")][0].startswith(advice)
    assert ("nothing is left" in said) == (predicate == "false")
    assert "NAME" not in said
