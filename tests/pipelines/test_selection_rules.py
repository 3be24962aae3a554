"""`mix`, `balance`, `max_tokens`, `within`, difficulty, and what a selection's hash depends on."""

import json
from pathlib import Path

import pytest
from episodes import Fill, episode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.filter import Filtered, filter_lake
from pipelines.quotas import quotas_of
from pipelines.recipe import Balance, Mix, parse_recipe
from toolkit.api import Lake, open_lake
from toolkit.errors import QueryError
from toolkit.formats.parsed import ParsedTrajectory
from toolkit.lake.compaction import compact


def run(lake: Lake, *steps: str, name: str = "v1") -> Filtered:
    lines = "\n".join(f"  - {step}" for step in steps)
    return filter_lake(lake, parse_recipe(f"name: {name}\nsteps:\n{lines}\n", "recipe"))


def by_teacher(teacher: str | None, count: int) -> list[ParsedTrajectory]:
    made = [episode(f"{teacher} {index}") for index in range(count)]
    for parsed in made:
        parsed.model = teacher
    return made


def kept(lake: Lake, column: str, name: str = "v1") -> dict[object, int]:
    relation = lake.sql(f"""
        SELECT {column}, count(*) FILTER (kept) FROM decisions JOIN trajectories_scored USING (trajectory_id)
        WHERE selection = '{name}' GROUP BY 1""")
    return dict(relation.fetchall())


def evidence(lake: Lake, condition: str) -> dict[str, object]:
    """Of the first dropped trajectory that fulfils `condition`."""
    found = lake.sql(f"""
        SELECT evidence FROM decisions JOIN trajectories_scored USING (trajectory_id)
        WHERE selection = 'v1' AND NOT kept AND {condition} ORDER BY source_position LIMIT 1""").fetchall()
    said: dict[str, object] = json.loads(found[0][0])
    return said


def test_a_mix_keeps_teachers_in_their_shares_and_drops_the_others(fill: Fill) -> None:
    lake = fill([*by_teacher("large", 20), *by_teacher("small", 20), *by_teacher("odd", 5), *by_teacher(None, 5)])
    run(lake, "mix: {by: teacher, shares: {large: 0.75, small: 0.25}}")
    assert kept(lake, "teacher") == {"large": 20, "small": 6, "odd": 0, None: 0}
    assert evidence(lake, "teacher = 'odd'") == {"by": "teacher", "value": "odd", "rows": 5, "quota": 0, "seed": 0}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.integers(1, 10), min_size=1, max_size=5),
    st.lists(st.integers(1, 500), min_size=5, max_size=5),
    st.none() | st.integers(1, 600),
)
def test_a_mix_is_the_largest_that_its_shares_and_n_allow(weights: list[int], sizes: list[int], n: int | None) -> None:
    # Shares in thousandths add up to one as they are written.
    thousandths = [1000 * weight // sum(weights) for weight in weights]
    thousandths[0] += 1000 - sum(thousandths)
    shares = {str(index): share / 1000 for index, share in enumerate(thousandths)}
    found = [(name, size) for name, size in zip(shares, sizes, strict=False)]
    rule = Mix.model_validate({"mix": {"by": "kind", "shares": shares, "n": n}})
    quotas = quotas_of(rule, found)
    most = min(1000 * size // share for (_, size), share in zip(found, thousandths, strict=True))
    assert sum(quotas) == (most if n is None else min(most, n))
    for quota, (_, size), share in zip(quotas, found, thousandths, strict=True):
        assert quota <= size
        assert abs(quota - sum(quotas) * share / 1000) < 1


def test_a_mix_by_a_truth_value_takes_it_as_yaml_writes_it(fill: Fill) -> None:
    lake = fill([episode(f"q{index}", gold=[], reward=float(index % 4 > 0)) for index in range(16)])
    run(lake, "mix: {by: correct, shares: {true: 0.5, false: 0.5}}")
    assert kept(lake, "correct") == {True: 4, False: 4}


def test_a_mix_of_a_value_that_no_row_has_stops_before_anything_is_written(fill: Fill) -> None:
    lake = fill(by_teacher("large", 4))
    before = lake.snapshot().number
    with pytest.raises(
        QueryError, match=r"step 1: mix \(line 3 of recipe\): .*teacher 'small'; there are 'large' \(4\)"
    ):
        run(lake, "mix: {by: teacher, shares: {large: 0.5, small: 0.5}}")
    assert lake.snapshot().number == before


def test_balance_keeps_of_each_as_many_as_of_the_rarest(fill: Fill) -> None:
    fill([episode(f"a{index}") for index in range(9)], dataset="a")
    fill([episode(f"b{index}") for index in range(4)], dataset="b")
    lake = fill([episode(f"c{index}") for index in range(6)], dataset="c")
    run(lake, "balance: {by: dataset}")
    assert kept(lake, "dataset") == {"a": 4, "b": 4, "c": 4}
    said = {"by": "dataset", "value": "a", "rows": 9, "quota": 4, "seed": 0}
    assert evidence(lake, "dataset = 'a'") == said
    run(lake, "balance: {by: dataset, per_value: 5}")
    assert kept(lake, "dataset") == {"a": 5, "b": 4, "c": 5}


def test_which_rows_a_quota_keeps_follows_from_the_seed(fill: Fill) -> None:
    lake = fill([*by_teacher("large", 30), *by_teacher("small", 10)])
    hashes = [run(lake, f"balance: {{by: teacher, seed: {seed}}}").selection.content_hash for seed in (1, 1, 2)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_later_sample_keeps_the_shares_of_a_mix(fill: Fill) -> None:
    """With one draw for all rules, the rare teacher's rows, the first of the draw, would be half of the sample."""
    lake = fill([*by_teacher("large", 400), *by_teacher("small", 400)])
    run(lake, "mix: {by: teacher, shares: {large: 0.8, small: 0.2}}", "sample: {n: 100}")
    assert 70 <= kept(lake, "teacher")["large"] <= 90


def test_balance_of_nothing_keeps_nothing() -> None:
    assert quotas_of(Balance.model_validate({"balance": {"by": "kind"}}), []) == []


def test_difficulty_is_counted_over_all_samples_whatever_earlier_rules_dropped(fill: Fill) -> None:
    samples = [episode("easy", gold=[], reward=1.0, searches=count) for count in range(4)]
    samples += [episode("hard", gold=[], reward=float(count == 0), searches=count) for count in range(4)]
    samples += [episode("hopeless", gold=[], reward=0.0), episode("ungraded", gold=[])]
    chain = episode("easy", gold=[], reward=0.0)
    chain.kind = "cot"
    lake = fill([*samples, chain])
    run(lake, "where: correct", 'where: "samples >= 4 and pass_rate between 0.25 and 0.75"')
    assert kept(lake, "question || kind") == {
        "easyagent": 0,
        "easycot": 0,
        "hardagent": 1,
        "hopelessagent": 0,
        "ungradedagent": 0,
    }
    found = lake.sql(
        "SELECT DISTINCT question, kind, samples, pass_rate FROM trajectories_scored ORDER BY ALL"
    ).fetchall()
    assert found == [
        *[("easy", "agent", 4, 1.0), ("easy", "cot", 1, 0.0), ("hard", "agent", 4, 0.25)],
        *[("hopeless", "agent", 1, 0.0), ("ungraded", "agent", 0, None)],
    ]


def test_max_tokens_counts_question_turns_and_observations(fill: Fill) -> None:
    short, long = episode("q" * 10, searches=0), episode("q" * 11, searches=0)
    for parsed in (short, long):
        parsed.steps[0].completion, parsed.steps[0].observation = "c" * 20, "ö" * 10
    lake = fill([short, long])
    run(lake, "max_tokens: {n: 10}")
    said = {"tokens": 11, "n": 10, "chars": 41, "chars_per_token": 4.0}
    assert evidence(lake, "true") == said
    assert run(lake, "max_tokens: {n: 10, chars_per_token: 4.1}").selection.n_kept == 2


def test_within_keeps_what_the_other_selection_keeps_with_its_weights(fill: Fill) -> None:
    fill([episode("stumbled", failing=1), episode("long", searches=3)])
    lake = fill([episode("short")], start=3)
    run(lake, "mask_steps: \"error_kind <> 'none'\"", 'where: "n_steps < 4"', name="base")
    lake = fill([episode("later")], start=4)
    outcome = run(lake, "within: base", "where: \"question <> 'short'\"")
    assert kept(lake, "question") == {"stumbled": 1, "long": 0, "short": 0, "later": 0}
    said = evidence(lake, "question = 'long'")
    assert (said["selection"], said["rule"]) == ("base", "2: where")
    assert said["evidence"] == {"failed": ["n_steps < 4"], "values": {"n_steps": 4}}
    assert evidence(lake, "question = 'later'")["rule"] == "not decided on"
    weights = lake.sql("SELECT step_index, weight, rule FROM step_weights WHERE selection = 'v1'").fetchall()
    assert weights == [(0, 0.0, "1: within")]
    assert outcome.masked_steps == 1


@pytest.mark.parametrize(
    ("step", "finding"),
    [
        ("within: bse", "there is no selection 'bse'; there are base"),
        ("mix: {by: techer, shares: {a: 1}}", "no column 'techer'; did you mean 'teacher'?"),
        ("balance: {by: nothing}", "no column 'nothing'"),
        ('where: "pass_rat > 0.5"', "pass_rat"),
    ],
)
def test_a_rule_that_does_not_fit_is_named_with_its_line(fill: Fill, step: str, finding: str) -> None:
    lake = fill([episode("one")])
    run(lake, 'where: "true"', name="base")
    with pytest.raises(QueryError, match=r"step 2: \w+ \(line 4 of recipe\): ") as caught:
        run(lake, 'where: "true"', step)
    assert finding in str(caught.value)


def test_the_hash_depends_on_inputs_and_recipe_only(fill: Fill, tmp_path: Path) -> None:
    """Not on commits, their order, or compaction; and neither does any decision."""
    steps = (
        'where: "pass_rate > 0.2"',
        "dedup: {by: actions, keep: shortest}",
        "balance: {by: dataset, seed: 3}",
        "mix: {by: correct, shares: {true: 0.8, false: 0.2}}",
        "mask_steps: \"error_kind <> 'none'\"",
        "sample: {n: 9, by: n_steps, seed: 1}",
    )
    made = [
        episode(f"q{index // 3}", gold=[], reward=float(index % 4 > 0), searches=index % 5, failing=index % 2)
        for index in range(60)
    ]
    asked = "SELECT trajectory_id, kept, rule, evidence, nearest_kept_id FROM decisions ORDER BY 1"
    found = []
    for order, parts in (("there", 1), ("back", 7)):
        batches = [(dataset, start) for dataset in "ab" for start in range(0, 60, -(-60 // parts))]
        for dataset, start in batches if order == "there" else reversed(batches):
            fill(made[start : start + -(-60 // parts)], dataset=dataset, start=start + 1)
        lake = open_lake(tmp_path / "lake")
        found.append((run(lake, *steps).selection.content_hash, lake.sql(asked).fetchall()))
        if order == "back":
            compact(lake)
            found.append((run(lake, *steps).selection.content_hash, lake.sql(asked).fetchall()))
        (tmp_path / "lake").rename(tmp_path / order)
    assert found[0] == found[1] == found[2]
    assert 0 < sum(bool(row[1]) for row in found[0][1]) == 9
