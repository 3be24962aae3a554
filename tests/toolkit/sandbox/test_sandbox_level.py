"""What a machine lacks is found out and said, and below level 2 nothing runs unasked."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from toolkit.errors import InputError
from toolkit.sandbox import Sandbox, probe


def toolkit(home: Path, *arguments: str, bubblewrap: bool, seccomp: bool) -> subprocess.CompletedProcess[str]:
    """The command as it runs on a machine without bubblewrap, or without the binding of libseccomp."""
    (home / "bin").mkdir()
    search = [str(home / "bin")]
    if bubblewrap:
        search += os.environ["PATH"].split(os.pathsep)
    if not seccomp:
        (home / "pyseccomp.py").write_text("raise ImportError('not installed')\n")
    environment = {**os.environ, "PATH": os.pathsep.join(search), "PYTHONPATH": f"{home}:{Path.cwd()}"}
    command = [sys.executable, "-m", "toolkit.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.skipif(probe().level < 3, reason="this machine lacks more than bubblewrap")
def test_without_bubblewrap_it_is_level_2_and_doctor_names_the_package(tmp_path: Path) -> None:
    said = json.loads(toolkit(tmp_path, "doctor", "--json", bubblewrap=False, seccomp=True).stdout)["sandbox"]
    assert said["level"] == 2
    assert "apt-get install bubblewrap" in said["missing"]["3"]


def test_without_libseccomp_it_is_level_1_and_doctor_names_the_package(tmp_path: Path) -> None:
    said = json.loads(toolkit(tmp_path, "doctor", "--json", bubblewrap=True, seccomp=False).stdout)["sandbox"]
    assert said["level"] == 1
    assert "pip install 'trajectory-toolkit[sandbox]'" in said["missing"]["2"]


@pytest.mark.parametrize("unsafe", [False, True])
def test_level_1_runs_model_written_code_only_if_that_is_accepted(tmp_path: Path, unsafe: bool) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps(["Thought: now\nCode:\n```py\nfinal_answer(42)\n```"]))
    asked = ["ask", "How much?", "--model", f"scripted:{script}", *(["--sandbox", "unsafe"] if unsafe else [])]
    done = toolkit(tmp_path, *asked, bubblewrap=True, seccomp=False)
    assert done.returncode == (0 if unsafe else 2)
    assert ("42" in done.stdout) == unsafe
    assert ("--sandbox unsafe" in done.stderr) == (not unsafe)


def test_a_level_that_cannot_be_had_or_does_not_exist_is_refused() -> None:
    with pytest.raises(InputError, match="levels are 1, 2 and 3, not 4"):
        Sandbox(level=4)
