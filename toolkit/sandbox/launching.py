"""How a keeper is started at each level: what it may read, the namespaces around it, its environment.

Paths are the same inside and outside, for interpreters find their libraries by them; what is not listed here is not
there. Invariant: nothing of the user's environment goes in, and nothing that is mounted can be written.
"""

from __future__ import annotations

import base64
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from toolkit.sandbox import child
from toolkit.sandbox.syscalls import numbers, session_filter

PROGRAM = str(Path(child.__file__).parent)
_START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from child.{} import main; del sys.path[0]; main()"
_INHERITED = ("LD_LIBRARY_PATH",)
_SHARED_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/usr/share/zoneinfo")
_SYSTEM_CALLS = ("seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "pidfd_getfd")


def confinement(level: int, library_paths: Iterable[str]) -> dict[str, object]:
    """The part of a worker's configuration that says how its sessions are confined.

    Raises:
        FilterError: there is no libseccomp for level 2 and above.
    """
    if level < 2:
        return {"level": level}
    return {
        "level": level,
        "readable": readable_paths(library_paths),
        "filter": base64.b64encode(session_filter()).decode(),
        "numbers": numbers(*_SYSTEM_CALLS),
    }


def readable_paths(library_paths: Iterable[str]) -> list[str]:
    """Interpreter, standard library, shared libraries and `library_paths`, as far as they exist."""
    interpreter = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), f"{sys.base_prefix}/lib"]
    paths = [*interpreter, *_SHARED_LIBRARIES, *library_paths, _interpreter(), PROGRAM]
    return list(dict.fromkeys(path for path in paths if os.path.exists(path)))


def command(level: int, readable: Iterable[str], module: str, *arguments: str) -> list[str]:
    """The command that runs `module` of the child's program at `level`."""
    # -I would ignore the hash seed; -s -P -S keep user and site directories out just the same.
    start = _START.format(module)
    python = [_interpreter(), "-s", "-P", "-S", "-c", start, str(Path(PROGRAM).parent), *arguments]
    return [*_namespaces(readable), *python] if level == 3 else python


def environment() -> dict[str, str]:
    """All that a keeper's environment holds."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return inherited | {
        "HOME": "/",
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PATH": "/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",
        "TZ": "UTC",
    }


def bubblewrap() -> str | None:
    """Where bubblewrap is. None: it is not installed."""
    return shutil.which("bwrap")


def _interpreter() -> str:
    # A virtual environment's own python is a link to this one, and finds nothing without its surroundings.
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def _namespaces(readable: Iterable[str]) -> list[str]:
    wrapped = [bubblewrap() or "bwrap", "--unshare-all", "--uid", "1000", "--gid", "1000", "--hostname", "sandbox"]
    wrapped += ["--cap-drop", "ALL", "--die-with-parent"]
    for path in readable:
        if os.path.islink(path):
            wrapped += ["--symlink", os.readlink(path), path]
        else:
            wrapped += ["--ro-bind", path, path]
    return [*wrapped, "--proc", "/proc", "--remount-ro", "/", "--chdir", "/", "--"]
