"""A fork whose parent is this process's own parent: the keeper, which alone can end and bury what is forked.

The C library's `fork` would make a child, and Python's would first run what libraries have registered for forks:
locks of threads that cannot be here, a new seed for `random`. That writes to two hundred pages, which every session
would pay, and chance would not go on in a fork where it was. Invariant: there is one thread.
Source: clone(2), CLONE_PARENT.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal

FLAGS = 1 << 15 | signal.SIGCHLD
"""CLONE_PARENT, and how the parent is told of the end."""
_NUMBERS = {"x86_64": 56, "aarch64": 220, "riscv64": 220, "ppc64le": 120}
"""Of the system call, by machine."""
_NUMBER = _NUMBERS.get(os.uname().machine)
PARENT_DEATH = (1, int(signal.SIGKILL))
"""PR_SET_PDEATHSIG: to die with the keeper."""
_prctl = ctypes.PyDLL(None).prctl
# The interpreter's lock is not given back around the call: nobody else could take it in the new process.
_system_call = ctypes.PyDLL(None, use_errno=True).syscall
_system_call.restype = ctypes.c_long


def fork_sibling() -> int:
    """The new process's id; 0 in the new process, which dies when its parent does.

    Raises:
        OSError: the system has no more processes or memory, nobody has ordered a fork, or the machine is of a kind that
            is not known here.
    """
    if _NUMBER is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    # Numbers as they are, for which nothing is allocated: the next fork starts from the same state of memory.
    pid = int(_system_call(_NUMBER, FLAGS, 0, 0, 0, 0))
    if pid < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if pid == 0:
        die_with_parent()
    return pid


def die_with_parent() -> None:
    """Be killed when the parent ends; not inherited by forks."""
    _prctl(*PARENT_DEATH)
