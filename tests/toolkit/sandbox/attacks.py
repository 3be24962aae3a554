"""The table of attacks on the sandbox: what is tried, and what must come of it at each level.

An attack is the code of one action. It runs after `PRELUDE`, in a session that may import what hostile code reaches
anyway. `refused(…)` prints `blocked` if every attempt fails for want of a right, and else what got through. At level 1
only those run that could not harm this machine; the others have no outcome there, for nothing would stop them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

MODULES = (
    "collections ctypes errno fcntl functools gc glob importlib io json marshal mmap os pickle random re resource "
    "select shutil signal socket struct subprocess sys threading time urllib zipfile"
).split()
LIBRARIES = ("numpy", "sympy")
"""Only where an attack needs them: they make every session larger."""

PRELUDE = """
import ctypes, errno, os, socket, struct, sys, time
x = 'before'
libc = ctypes.CDLL(None, use_errno=True)

def syscall(number, *arguments):
    raw = [a if isinstance(a, bytes | ctypes.Array) else ctypes.c_long(a) for a in arguments]
    result = libc.syscall(ctypes.c_long(number), *raw)
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result

RIGHTS = {errno.EPERM, errno.EACCES, errno.ENOSYS}
PLACES = RIGHTS | {errno.ENOENT, errno.EROFS}

def refused(*attempts, by=RIGHTS):
    for attempt in attempts:
        try:
            print('got through:', attempt())
        except OSError as error:
            number = error.errno or {PermissionError: errno.EPERM, FileNotFoundError: errno.ENOENT}.get(type(error))
            if number not in by:
                print('failed for another reason:', error)
            else:
                continue
        return
    print('blocked')

def unreachable(*attempts):
    refused(*attempts, by=PLACES)

def frame(text, length=None):
    body = text if isinstance(text, bytes) else text.encode()
    return struct.pack('>I', len(body) if length is None else length) + body

def child(module):
    return sys.modules['child.' + module]
"""
"""The first action of every hostile session. `x` is the state that must be there afterwards."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One line of the table."""

    name: str
    area: str
    code: str
    """`$CANARY`, `$PLACE`, `$PORT`, `$ABSTRACT`, `$NEIGHBOUR`, `$HALVES` become what the surroundings hold."""
    outcome: str = "blocked"
    """At levels 3 and 2: `blocked` is printed, `fine` ends without an error, else the error's kind; `|` parts choices.
    `any` is for code that forges its own reports."""
    at_1: str | None = None
    """The same at level 1. None: it is not confined there, and not run."""
    forks: int = 0
    """How many forks the host orders afterwards."""
    keeps_state: bool = True
    """Whether `x` is as before afterwards; a session that rewrites its own interpreter has no such right."""


def table() -> list[Attack]:
    """All attacks; names are unique."""
    from attacks_by_calls import CALLS
    from attacks_on_host import ON_HOST
    from attacks_on_surroundings import ON_SURROUNDINGS

    attacks = [*CALLS, *ON_SURROUNDINGS, *ON_HOST]
    repeated = [name for name, times in Counter(attack.name for attack in attacks).items() if times > 1]
    assert not repeated, repeated
    return attacks
