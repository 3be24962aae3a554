from pathlib import Path

import pytest

from pipelines.recipe import Where, load_recipe, parse_recipe, rule_name
from pipelines.run_recipe import load_run
from toolkit.errors import InputError, RecipeError
from toolkit.recipe_text import load_yaml_as
from trainers.sft.settings import TrainSettings

GOOD = """\
name: v1
steps:
  - where: "correct and parse_errors = 0"
  - dedup: {by: actions, keep: shortest}
  - best_of: {per_task: 2, order_by: [n_steps, completion_tokens desc]}
  - mask_steps: "error_kind <> 'none'"
  - sample: {n: 10, by: dataset, seed: 3}
"""


def test_every_rule_of_the_guide_is_read_in_order() -> None:
    recipe = parse_recipe(GOOD, "r.yaml")
    assert [rule_name(rule) for rule in recipe.steps] == ["where", "dedup", "best_of", "mask_steps", "sample"]
    assert isinstance(recipe.steps[0], Where)
    assert recipe.as_json()["name"] == "v1"


@pytest.mark.parametrize("path", sorted(Path("recipes").glob("*.yaml")), ids=str)
def test_every_checked_in_recipe_parses(path: Path) -> None:
    """A recipe has `stages` for `toolkit run`, `steps` for `toolkit filter`, or a `method` for `toolkit train`."""
    text = path.read_text()
    if "\nmethod:" in text:
        assert load_yaml_as(TrainSettings, path)
    else:
        assert load_run(path).stages if "\nstages:\n" in text else load_recipe(path).steps


@pytest.mark.parametrize(
    ("change", "place", "finding"),
    [
        (("name: v1", "nam: v1"), "line 1", "unknown key 'nam'"),
        (("name: v1", "name: 'a b'"), "line 1", "name"),
        (("- where:", "- wher:"), "line 3", "unknown step 'wher'; did you mean 'where'?"),
        (("keep: shortest", "kep: shortest"), "line 4", "unknown key 'dedup.kep'"),
        (("keep: shortest", "keep: longest"), "line 4", "got 'longest'"),
        (("by: actions", "by: actions, jaccard: 0.8"), "line 4", "unknown key 'dedup.jaccard'"),
        (("per_task: 2", "per_task: 0"), "line 5", "got 0"),
        (("[n_steps, completion_tokens desc]", "[n_steps; drop]"), "line 5", "order_by"),
        (("n: 10, ", ""), "line 7", "'sample.n' is missing"),
    ],
)
def test_a_mistake_is_named_with_its_line(change: tuple[str, str], place: str, finding: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(GOOD.replace(*change), "r.yaml")
    assert f"{place} of r.yaml" in str(caught.value)
    assert finding in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "- a", "name: [", "name: v1\nsteps: 3", "name: v1\nsteps: [{where: x, dedup: y}]"]
)
def test_what_is_no_recipe_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match=r"r\.yaml"):
        parse_recipe(text, "r.yaml")


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml"):
        load_recipe(tmp_path / "nowhere.yaml")
