"""The attacks once more, as a user who owns nothing, in a view of the file system that is gone afterwards."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from toolkit.sandbox import probe

NOBODY = 65534
REPOSITORY = Path(__file__).parents[3]
TESTS = [REPOSITORY / "tests/toolkit/sandbox" / name for name in ("test_attacks.py", "test_attacks_together.py")]


def closed_to_others(path: Path) -> list[Path]:
    """Directories on the way to `path` that only their owner may pass."""
    return [parent for parent in reversed(path.parents) if not parent.stat().st_mode & stat.S_IXOTH]


def view(needed: list[Path], stash: Path) -> str:
    """Shell commands that make `needed` reachable for everyone, at the same paths, by mounts of one's own.

    What lies in a closed directory is bound elsewhere first, the closed directory is covered by an empty open one, and
    the needed parts are bound back into that.
    """
    lines = ["set -e", f"mount -t tmpfs -o mode=755 tmpfs {stash}"]
    hidden = [path for path in needed if closed_to_others(path)]
    for number, path in enumerate(hidden):
        lines += [f"mkdir {stash}/{number}", f"mount --bind '{path}' {stash}/{number}"]
    for closed in sorted({closed_to_others(path)[0] for path in hidden}):
        lines += [f"mount -t tmpfs -o mode=755 tmpfs '{closed}'"]
    for number, path in enumerate(hidden):
        lines += [f"mkdir -p '{path}'", f"mount --bind {stash}/{number} '{path}'"]
    return "\n".join([*lines, "mount -t tmpfs -o mode=1777 tmpfs /var/tmp", 'exec "$@"'])


@pytest.mark.slow
def test_the_attacks_harm_nobody_when_an_unprivileged_user_runs_them() -> None:
    if os.geteuid() != 0:
        pytest.skip("these tests run as an unprivileged user anyway")
    for program in ("unshare", "setpriv", "mount"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} of util-linux is not installed")
    script = view([Path(sys.base_prefix), Path(sys.prefix), REPOSITORY], Path("/mnt"))
    inside = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", "setpriv"]
    inside += [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    environment = {
        "HOME": "/var/tmp",
        "PATH": os.environ["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(REPOSITORY),
        "TMPDIR": "/var/tmp",
    }
    tried = subprocess.run(
        [*inside, sys.executable, "-c", "from toolkit.sandbox import probe; print(probe().level)"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=REPOSITORY,
        check=False,
    )
    if tried.returncode != 0:
        pytest.skip(f"no view of one's own can be made here: {tried.stderr.strip()}")
    assert int(tried.stdout) == probe().level
    done = subprocess.run(
        [*inside, sys.executable, "-m", "pytest", "--no-header", "-rs", "--tb=short", *map(str, TESTS)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=REPOSITORY,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8_000:] + done.stderr[-2_000:]
    assert " passed" in done.stdout
    print(done.stdout.splitlines()[-1])  # noqa: T201 -- seen with -s, or when it fails
