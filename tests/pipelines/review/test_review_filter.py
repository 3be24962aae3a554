import json
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from episodes import Fill, episode

from pipelines.filter import Filtered, filter_lake
from pipelines.recipe import parse_recipe
from schemas import Review
from toolkit.api import Lake
from toolkit.errors import QueryError, RecipeError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ACCEPTED = "review: {require: accepted}"


def run(lake: Lake, *steps: str) -> Filtered:
    lines = "\n".join(f"  - {step}" for step in steps)
    return filter_lake(lake, parse_recipe(f"name: v1\nsteps:\n{lines}\n", "recipe"))


def say(lake: Lake, question: str, words: Mapping[str, str], *, step: int | None = None, project: str = "p") -> None:
    """Verdicts by reviewer."""
    [(trajectory_id,)] = lake.sql(
        f"SELECT trajectory_id FROM trajectories_scored WHERE question = '{question}'"
    ).fetchall()
    common = {"trajectory_id": trajectory_id, "step_index": step, "project": project, "reviewed_at": NOW}
    with lake.write("test") as batch:
        batch.add(Review.model_validate({**common, "reviewer": who, "verdict": word}) for who, word in words.items())


def kept(lake: Lake) -> dict[str, bool]:
    return dict(
        lake.sql("SELECT question, kept FROM decisions JOIN trajectories_scored USING (trajectory_id)").fetchall()
    )


def test_the_majority_of_those_who_are_sure_accepts_and_a_tie_does_not(fill: Fill) -> None:
    lake = fill([episode(name) for name in ("yes", "majority", "tie", "unsure", "no", "unseen")])
    say(lake, "yes", {"a": "accepted"})
    say(lake, "majority", {"a": "accepted", "b": "rejected", "c": "accepted"})
    say(lake, "tie", {"a": "accepted", "b": "rejected", "c": "unsure"})
    say(lake, "unsure", {"a": "unsure"})
    say(lake, "no", {"a": "rejected"})
    run(lake, ACCEPTED)
    assert kept(lake) == {
        "yes": True,
        "majority": True,
        "tie": False,
        "unsure": False,
        "no": False,
        "unseen": False,
    }
    of_tie = "SELECT evidence FROM decisions JOIN trajectories_scored USING (trajectory_id) WHERE question = 'tie'"
    [(evidence,)] = lake.sql(of_tie).fetchall()
    assert json.loads(evidence) == {"accepted": 1, "rejected": 1, "unsure": 1}


def test_a_step_verdict_does_not_accept_the_whole(fill: Fill) -> None:
    lake = fill([episode("q"), episode("other")])
    say(lake, "q", {"a": "correct"}, step=0)
    say(lake, "other", {"a": "accepted"})
    run(lake, ACCEPTED)
    assert kept(lake) == {"q": False, "other": True}


def test_one_project_can_be_asked_alone(fill: Fill) -> None:
    lake = fill([episode("q")])
    say(lake, "q", {"a": "accepted"}, project="old")
    say(lake, "q", {"a": "rejected"}, project="new")
    run(lake, "review: {require: accepted, project: old}")
    assert kept(lake) == {"q": True}
    run(lake, ACCEPTED)
    assert kept(lake) == {"q": False}
    with pytest.raises(QueryError, match="no review of the project 'older'; there are new, old"):
        run(lake, "review: {require: accepted, project: older}")


def test_steps_that_people_call_wrong_are_masked(fill: Fill) -> None:
    lake = fill([episode("q", searches=3)])
    say(lake, "q", {"a": "wrong", "b": "correct", "c": "wrong"}, step=0)
    say(lake, "q", {"a": "wrong", "b": "correct"}, step=1)
    say(lake, "q", {"a": "correct"}, step=2)
    assert run(lake, "mask_steps: \"review_verdict = 'wrong'\"").masked_steps == 1
    assert lake.sql("SELECT step_index, weight FROM step_weights").fetchall() == [(0, 0.0)]
    said = lake.sql("SELECT review_verdict FROM steps_scored ORDER BY step_index").fetchall()
    assert said == [("wrong",), ("unsure",), ("correct",), (None,)]


@pytest.mark.parametrize(
    ("step", "what"),
    [(ACCEPTED, "a whole trajectory"), ("mask_steps: \"review_verdict = 'wrong'\"", "a step")],
)
def test_rules_on_reviews_stop_where_there_are_none(fill: Fill, step: str, what: str) -> None:
    lake = fill([episode("q")])
    before = lake.snapshot().number
    with pytest.raises(QueryError, match=f"the lake holds no review of {what}; `toolkit review pull"):
        run(lake, step)
    assert lake.snapshot().number == before


def test_a_word_that_was_taken_back_is_none(fill: Fill) -> None:
    lake = fill([episode("q")])
    say(lake, "q", {"a": "accepted"})
    [row] = lake.sql("SELECT * FROM reviews").to_arrow_table().to_pylist()
    with lake.write("test") as batch:
        batch.add([Review.model_validate(row | {"verdict": None, "reviewed_at": datetime(2026, 1, 2, tzinfo=UTC)})])
    with pytest.raises(QueryError, match="holds no review"):
        run(lake, ACCEPTED)


def test_a_requirement_that_is_none_is_refused_with_its_line() -> None:
    with pytest.raises(RecipeError, match="line 3 of recipe: .*'accepted'.*got 'rejected'"):
        parse_recipe("name: v1\nsteps:\n  - review: {require: rejected}\n", "recipe")
