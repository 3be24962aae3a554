"""Holes in the confinement are found out by trying, not believed away."""

from __future__ import annotations

import base64
import errno
import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolkit.sandbox import level, probe
from toolkit.sandbox.child.siblings import FLAGS
from toolkit.sandbox.launching import command, confinement, environment, readable_paths
from toolkit.sandbox.syscalls import ALLOWED

seccomp = pytest.importorskip("pyseccomp", reason="pyseccomp is not installed")
if probe().level < 2:
    pytest.skip(f"there is no confinement here to make holes in: {probe().missing[2]}", allow_module_level=True)


def tried(**changed: object) -> list[str]:
    """What the check finds in a configuration of level 2 that is as `changed`."""
    config = confinement(2, []) | changed
    done = subprocess.run(
        command(2, readable_paths([]), "check"),
        input=json.dumps(config).encode(),
        capture_output=True,
        env=environment(),
        timeout=30,
        check=True,
    )
    broken: list[str] = json.loads(done.stdout)["broken"]
    return broken


def filtered(also: Callable[[Any], None], *, asks: bool = True) -> str:
    """A session's filter with what `also` adds; forks are asked for unless `asks` is false."""
    rules = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
    for name in (*ALLOWED, "fcntl", "ioctl", "prctl", "prlimit64"):
        rules.add_rule(seccomp.ALLOW, name)
    rules.add_rule(seccomp.ALLOW, "mmap", seccomp.Arg(3, seccomp.MASKED_EQ, 0xF, 2))
    rules.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")
    if asks:
        rules.add_rule(seccomp.NOTIFY, "clone", seccomp.Arg(0, seccomp.EQ, FLAGS))
    also(rules)
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0, os.SEEK_SET)
        return base64.b64encode(file.read()).decode()


def test_the_true_confinement_has_no_hole() -> None:
    assert tried() == []
    assert tried(filter=filtered(lambda rules: None)) == []


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("socket", "a socket was made"),
        ("kill", "a process was signalled"),
        ("mmap", "memory was made that forks share"),
    ],
)
def test_a_filter_that_allows_a_call_too_many_is_found_out(name: str, found: str) -> None:
    assert tried(filter=filtered(lambda rules: rules.add_rule(seccomp.ALLOW, name))) == [found]


def test_a_filter_that_does_not_ask_about_forks_is_found_out() -> None:
    let_through = filtered(lambda rules: rules.add_rule(seccomp.ALLOW, "clone"), asks=False)
    assert any("fork" in found for found in tried(filter=let_through))


def test_readable_files_too_many_are_found_out() -> None:
    assert tried(readable=["/"]) == ["a file was opened"]


def test_libraries_that_cannot_be_read_are_found_out(tmp_path: Path) -> None:
    assert tried(readable=[str(tmp_path / "nothing")]) != []


@pytest.mark.skipif(probe().level < 3, reason="bubblewrap is needed to stand in for")
@pytest.mark.parametrize(
    "script",
    ['while [ "$1" != -- ]; do shift; done; shift; exec "$@"', 'shift; exec $TRUE --unshare-all --share-net "$@"'],
    ids=["no namespace", "the host's network"],
)
def test_a_bubblewrap_that_leaves_namespaces_out_is_found_out(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = tmp_path / "bwrap"
    stand_in.write_text(f"#!/bin/sh\n{script.replace('$TRUE', str(level.bubblewrap()))}\n")
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = probe.__wrapped__()
    assert found.level == 2
    assert "net namespace is the host's own" in found.missing[3]
