"""A fork whose parent is this process's own parent: the keeper, which alone can end and bury what is forked.

The C library's `fork` would make a child, and Python's would first run what libraries have registered for forks:
locks of threads that cannot be here, a new seed for `random`. That writes to two hundred pages, which every session
would pay, and chance would not go on in a fork where it was. Invariant: there is one thread.
Source: clone(2), CLONE_PARENT.
"""

from __future__ import annotations

import ctypes
import os
import signal

FLAGS = 1 << 15 | signal.SIGCHLD
"""CLONE_PARENT, and how the parent is told of the end."""
_NUMBER = {"x86_64": 56, "ppc64le": 120}.get(os.uname().machine, 220)
"""Of the system call; 220 on arm64, riscv64 and all younger machines."""
# The interpreter's lock is not given back around the call: nobody else could take it in the new process.
_system_call = ctypes.PyDLL(None, use_errno=True).syscall
_system_call.restype = ctypes.c_long


def fork_sibling() -> int:
    """The new process's id; 0 in the new process.

    Raises:
        OSError: the system has no more processes or memory, or nobody has ordered a fork.
    """
    # Numbers as they are, for which nothing is allocated: the next fork starts from the same state of memory.
    pid = int(_system_call(_NUMBER, FLAGS, 0, 0, 0, 0))
    if pid < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return pid
