from datetime import UTC, datetime

import pytest
from episodes import Fill, episode

from pipelines.review.sampling import SampleOptions, draw
from schemas import Score
from toolkit.api import Lake
from toolkit.errors import InputError, QueryError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def sample(lake: Lake, **options: object) -> list[str]:
    """The questions of the sample, in order."""
    snapshot = lake.snapshot()
    keys = draw(snapshot, snapshot.connect(), SampleOptions(**options))  # type: ignore[arg-type]
    questions = dict(lake.sql("SELECT trajectory_id, question FROM trajectories_scored").fetchall())
    return [questions[trajectory_id] for trajectory_id, _ in keys]


def judge(lake: Lake, question: str, words: dict[str, bool | None], step: int | None = None) -> None:
    [(trajectory_id,)] = lake.sql(
        f"SELECT trajectory_id FROM trajectories_scored WHERE question = '{question}'"
    ).fetchall()
    with lake.write("test") as batch:
        batch.add(
            Score(trajectory_id=trajectory_id, step_index=step, scorer=scorer, passed=passed, scored_at=NOW)
            for scorer, passed in words.items()
        )


def test_a_larger_sample_keeps_what_a_smaller_one_chose_and_a_seed_repeats(fill: Fill) -> None:
    lake = fill([episode(f"q{index}") for index in range(40)])
    small, large = sample(lake, n=10), sample(lake, n=25)
    assert large[:10] == small
    assert len(set(large)) == 25
    assert sample(lake, n=10, seed=1) != small
    assert len(sample(lake)) == 40


def test_disagreement_takes_divided_scorers_only_and_the_most_divided_first(fill: Fill) -> None:
    lake = fill([episode(name) for name in ("agreed", "halved", "third", "steps", "silent")])
    judge(lake, "agreed", {"a@1": True, "b@1": True, "c@1": None})
    judge(lake, "halved", {"a@1": True, "b@1": False})
    judge(lake, "third", {"a@1": True, "b@1": False, "c@1": False})
    judge(lake, "steps", {"a@1": True, "b@1": False, "c@1": True}, step=0)
    # The whole and a step are different questions: these two do not contradict each other.
    judge(lake, "silent", {"a@1": True})
    judge(lake, "silent", {"b@1": False}, step=0)
    found = sample(lake, by="disagreement")
    assert found[0] == "halved"
    assert set(found[1:]) == {"third", "steps"}


def test_errors_come_from_each_kind_in_turn(fill: Fill) -> None:
    odd = episode("timeout", failing=1)
    odd.steps[0].error_kind = "timeout"
    lake = fill([*(episode(f"parse {index}", failing=1) for index in range(9)), odd, episode("clean")])
    assert "timeout" in sample(lake, by="errors", n=2)
    assert len(sample(lake, by="errors")) == 10
    assert sample(lake, by="errors", error_kinds=("timeout",)) == ["timeout"]


def test_a_predicate_narrows_every_kind_of_sample(fill: Fill) -> None:
    lake = fill([episode("one", failing=1), episode("two", failing=1)])
    assert sample(lake, where="question = 'two'") == ["two"]
    assert sample(lake, by="errors", where="question = 'two' or false") == ["two"]


def test_a_predicate_that_meets_a_value_it_cannot_take_is_quoted(fill: Fill) -> None:
    lake = fill([episode("one", "seven"), episode("two", "5")])
    with pytest.raises(QueryError, match=r"predicate 'cast\(final_answer as int\) = 5' does not run: .*'seven'"):
        sample(lake, where="cast(final_answer as int) = 5")


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        ({"where": "n_step > 1"}, "n_step"),
        ({"where": "true) UNION SELECT trajectory_id FROM trajectories WHERE (true"}, "does not fit|one expression"),
        ({"selection": "none"}, "there is no selection 'none'"),
        ({"n": 0}, "--n must be at least 1, got 0"),
        ({"error_kinds": ("parse",)}, "--error-kind goes with --sample errors"),
    ],
)
def test_options_that_do_not_fit_are_refused(fill: Fill, options: dict[str, object], finding: str) -> None:
    lake = fill([episode("one")])
    with pytest.raises((InputError, QueryError), match=finding):
        sample(lake, **options)
