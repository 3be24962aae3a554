from pathlib import Path

import pytest

from pipelines.recipe import Where, load_recipe, parse_recipe, renamed, rule_name
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
  - mix: {by: teacher, shares: {large: 0.7, small: 0.3}}
  - balance: {by: pass_rate, per_value: 100}
  - max_tokens: {n: 8192}
  - within: curated
"""


def test_every_rule_of_the_guide_is_read_in_order() -> None:
    recipe = parse_recipe(GOOD, "r.yaml")
    assert [rule_name(rule) for rule in recipe.steps] == [
        *("where", "dedup", "best_of", "mask_steps", "sample"),
        *("mix", "balance", "max_tokens", "within"),
    ]
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
        (("by: actions", "by: actions, cosine: 0.8"), "line 4", "unknown key 'dedup.cosine'"),
        (("by: actions", "by: thoughts"), "line 4", "got 'thoughts'"),
        (("by: actions", "by: actions, jaccard: 0"), "line 4", "greater than 0, got 0"),
        (("by: actions", "by: actions, jaccard: 1.01"), "line 4", "less than or equal to 1, got 1.01"),
        (("by: actions", "by: actions, jaccard: .nan"), "line 4", "got nan"),
        (("by: actions", "by: actions, jaccard: yes"), "line 4", "got True"),
        (("by: actions", "by: actions, jaccard: '0.8'"), "line 4", "got '0.8'"),
        (("by: actions", "by: code"), "line 4", "by: code needs `jaccard`"),
        (("by: actions", "by: observations"), "line 4", "by: observations needs `jaccard`"),
        (("by: actions", "by: actions, per_task: 2"), "line 4", "per_task needs `jaccard`"),
        (("by: actions", "by: actions, jaccard: 0.8, per_task: 0"), "line 4", "got 0"),
        (("per_task: 2", "per_task: 0"), "line 5", "got 0"),
        (("[n_steps, completion_tokens desc]", "[n_steps; drop]"), "line 5", "order_by"),
        (("name: v1", "name: 2024-13-01"), "line 1", "'2024-13-01' is no value: month must be in 1..12"),
        (
            ('where: "correct and parse_errors = 0"', '{where: "false", where: "true"}'),
            "line 3",
            "where is given twice",
        ),
        (("  - within: curated", "  - within: curated\nsteps:\n  - within: other"), "line 12", "steps is given twice"),
        (("by: actions", "by: actions, 'by': task"), "line 4", "by is given twice"),
        (("n: 10, ", ""), "line 7", "'sample.n' is missing"),
        (("small: 0.3", "small: 0.4"), "line 8", "must add up to 1, but add up to 1.1"),
        (("large: 0.7", "large: -1"), "line 8", "got -1"),
        (("per_value: 100", "at_most: 100"), "line 9", "unknown key 'balance.at_most'"),
        (("max_tokens: {n: 8192}", "max_tokens: 8192"), "line 10", "got 8192"),
        (("within: curated", "within: ''"), "line 11", "got ''"),
        (("steps:\n", "step:\n"), "line 2", "unknown key 'step'; did you mean 'steps'?"),
        (
            ("by: actions", "by: actions, jacard: 0.8"),
            "line 4",
            "unknown key 'dedup.jacard'; did you mean 'jaccard'?",
        ),
        (("per_value: 100", "most: 1"), "line 9", "unknown key 'balance.most'; known are by, per_value, seed"),
        (
            ("max_tokens: {n: 8192}", "max_tokens: 8192"),
            "line 10",
            "max_tokens: expected a mapping such as {n: …}, got 8192",
        ),
        (("within: curated", "use: [a.yaml]"), "line 11", "expected the path of a recipe, got ['a.yaml']"),
        (("within: curated", "use: nowhere.yaml"), "line 11", "there is no recipe nowhere.yaml"),
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


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n"], ids=["empty", "comment", "document"])
def test_an_empty_recipe_is_told_in_words(text: str) -> None:
    with pytest.raises(RecipeError, match=r"r\.yaml: expected a mapping with `name` and `steps`, got nothing"):
        parse_recipe(text, "r.yaml")


def test_a_misspelt_setting_is_answered_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "train.yaml").write_text("epoch: 3\n")
    with pytest.raises(RecipeError, match=r"line 1 of .*: unknown key 'epoch'; did you mean 'epochs'\?"):
        load_yaml_as(TrainSettings, tmp_path / "train.yaml")


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml"):
        load_recipe(tmp_path / "nowhere.yaml")


def test_a_used_recipe_stands_for_its_steps(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text('name: base\nsteps:\n  - where: "correct"\n  - within: old\n')
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "top.yaml").write_text("name: top\nsteps:\n  - use: ../base.yaml\n  - sample: {n: 1}\n")
    recipe = load_recipe(tmp_path / "more" / "top.yaml")
    written = parse_recipe('name: top\nsteps: [{where: "correct"}, {within: old}, {sample: {n: 1}}]', "r.yaml")
    assert recipe.as_json() == written.as_json()
    assert [step.place.split(" of ")[0] for step in recipe.steps] == [" (line 3", " (line 4", " (line 4"]


def test_a_mistake_in_a_used_recipe_is_named_in_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("name: base\nsteps:\n  - sampel: {n: 1}\n")
    (tmp_path / "top.yaml").write_text("name: top\nsteps:\n  - use: base.yaml\n")
    with pytest.raises(RecipeError, match=r"line 3 of .*base\.yaml: unknown step 'sampel'"):
        load_recipe(tmp_path / "top.yaml")


def test_recipes_that_use_each_other_are_refused(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / f"{name}.yaml").write_text(f"name: {name}\nsteps:\n  - use: {other}.yaml\n")
    with pytest.raises(RecipeError, match=r"line 3 of .*b\.yaml: use: a recipe cannot contain itself: .*a\.yaml → "):
        load_recipe(tmp_path / "a.yaml")


def test_a_recipe_under_another_name_keeps_the_lines_of_its_steps() -> None:
    recipe = renamed(parse_recipe(GOOD, "r.yaml"), "v2")
    assert (recipe.name, recipe.steps[0].place) == ("v2", " (line 3 of r.yaml)")
    with pytest.raises(InputError, match="--name: expected letters"):
        renamed(recipe, "a b")
