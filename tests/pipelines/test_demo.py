"""The demo's own directory: what it replaces when it runs again, and what it never touches."""

from pathlib import Path

import pytest

from pipelines.demo import claim
from toolkit.cli.main import run


def test_a_directory_that_no_demo_made_is_refused_and_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipe.yaml").write_text("mine")
    assert run(["demo", "--quick", "--out", str(tmp_path)]) == 2
    assert f"{tmp_path} is not empty, and no demo made it" in capsys.readouterr().err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("name", [".", "new/demo"], ids=["empty", "new"])
def test_a_demo_runs_again_in_its_own_directory(tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    claim(out)
    (out / "recipe.yaml").write_text("the demo's")
    claim(out)
    assert (out / "recipe.yaml").exists()
