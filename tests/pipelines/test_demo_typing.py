"""Commands that the demo runs at once: real processes of the real command."""

from pathlib import Path

import pytest

from pipelines.demo_typing import type_at_once
from toolkit.errors import RunError

VERSION = ["--version"]
UNKNOWN = ["frobnicate"]


def test_what_ran_meanwhile_is_shown_after_the_rest(capfd: pytest.CaptureFixture[str]) -> None:
    type_at_once([VERSION], [["filter", "--help"], VERSION])
    said = capfd.readouterr().out
    shown, _, meanwhile = said.partition("Meanwhile")
    assert shown.count("$ toolkit --version\ntrajectory-toolkit ") == 1
    assert 0 < meanwhile.index("$ toolkit filter --help") < meanwhile.index("$ toolkit --version\ntrajectory-toolkit ")


def test_a_command_that_fails_meanwhile_is_told_with_its_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RunError, match=r"`toolkit frobnicate` ended with exit code 2"):
        type_at_once([VERSION], [UNKNOWN, VERSION])
    said = capfd.readouterr().out
    assert "there is no command 'frobnicate'" in said
    assert said.count("trajectory-toolkit ") == 1  # nothing follows the one that failed


def test_a_command_that_fails_ends_what_runs_meanwhile(tmp_path: Path) -> None:
    long = ["index", "minipedia:train?size=20000", "--index", tmp_path / "index"]
    with pytest.raises(RunError, match="frobnicate"):
        type_at_once([UNKNOWN], [long, VERSION])
    assert not (tmp_path / "index" / "index.json").exists()
