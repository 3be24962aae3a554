"""How well model-written code is confined here, as a number: found out by trying, and refused below 2 unasked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache

from toolkit.errors import InputError
from toolkit.sandbox.launching import bubblewrap, command, confinement, environment, readable_paths
from toolkit.sandbox.syscalls import FilterError

MEANING = {
    3: "namespaces, Landlock, seccomp and resource limits",
    2: "Landlock, seccomp and resource limits, without namespaces",
    1: "a separate process with resource limits only",
}
"""What each level consists of."""
_TRY_S = 30.0


@dataclass(frozen=True, slots=True)
class Found:
    """What a machine can do."""

    level: int
    missing: dict[int, str]
    """Why a level above is not reached, and what to install or switch on, by level."""


@cache
def probe() -> Found:
    """The best level of this machine: each is tried, from the top; takes a tenth of a second, once a process."""
    missing: dict[int, str] = {}
    for level in (3, 2):
        problem = _problem(level)
        if problem is None:
            return Found(level, missing)
        missing[level] = problem
    return Found(1, missing)


def require_level(level: int, *, unsafe: bool = False) -> None:
    """Refuse a sandbox below level 2, unless `unsafe` accepts it.

    Raises:
        InputError: the level is below 2 and `unsafe` is false.
    """
    if level >= 2 or unsafe:
        return
    raise InputError(
        f"the sandbox here is level {level}: {MEANING[1]}. Model-written code could read and change your files and use "
        "the network as you can; level 2 or 3 is needed to run it, and `toolkit doctor` says what is missing. "
        "If you accept that, pass --sandbox unsafe"
    )


def _problem(level: int) -> str | None:
    """Why `level` cannot be had. None: it can."""
    if not sys.platform.startswith("linux"):
        return "it needs Linux 5.13 or newer"
    if level == 3 and bubblewrap() is None:
        return "bubblewrap is missing: apt-get install bubblewrap, dnf install bubblewrap, pacman -S bubblewrap"
    try:
        settings = json.dumps({**confinement(level, []), "namespaces": _namespaces() if level == 3 else {}})
    except FilterError as error:
        return str(error)
    try:
        tried = subprocess.run(
            command(level, readable_paths([]), "check"),
            input=settings.encode(),
            capture_output=True,
            env=environment(),
            timeout=_TRY_S,
            check=False,
        )
        broken = json.loads(tried.stdout)["broken"]
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"it does not start: {error}"
    except (ValueError, KeyError):
        return _explained(tried.stderr.decode(errors="replace").strip())
    return _explained("; ".join(broken)) if broken else None


def _namespaces() -> dict[str, str]:
    """What level 3 has of its own: the host's, by name."""
    return {name: os.readlink(f"/proc/self/ns/{name}") for name in ("ipc", "mnt", "net", "pid", "user", "uts")}


def _explained(problem: str) -> str:
    last = problem.splitlines()[-1] if problem else "it ended without a word"
    advice = ""
    if "landlock" in last:
        advice = "; Landlock needs Linux 5.13 or newer with `landlock` in the kernel's `lsm=` list"
    elif "gate" in last:
        advice = "; kernel.yama.ptrace_scope above 1 forbids it, or a container's own seccomp profile"
    elif "seccomp" in last:
        advice = "; a container's own seccomp profile may forbid it"
    elif "bwrap" in last:
        advice = "; unprivileged user namespaces may be switched off (kernel.apparmor_restrict_unprivileged_userns, "
        advice += "user.max_user_namespaces), or the container forbids them"
    return f"{last}{advice}"
