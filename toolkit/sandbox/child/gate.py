"""The zygote's answer to a session that wants to fork: only when the host has ordered it.

The kernel stops the caller of `clone` and tells its process id; nothing that the caller does can forge that.
Invariant: a session has as many processes as the host has asked for. Source: seccomp_unotify(2).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import struct
from collections.abc import Callable

_NOTICE = struct.Struct("=QII")
_NOTICE_BYTES = 80
_ANSWER = struct.Struct("=QqiI")
_CONTINUE = 1


def _request(number: int, size: int) -> int:
    """The ioctl that reads and writes `size` bytes, as `_IOWR('!', number, …)` makes it."""
    return 0b11 << 30 | size << 16 | ord("!") << 8 | number


_RECEIVE = _request(0, _NOTICE_BYTES)
_SEND = _request(1, _ANSWER.size)


def answer_fork(listener: int, may_fork: Callable[[int], bool]) -> None:
    """Read one question from `listener` and let the process fork if `may_fork` says so of its id."""
    notice = bytearray(_NOTICE_BYTES)
    # The caller may die at any time; then there is no question, or nobody to answer.
    with contextlib.suppress(FileNotFoundError):
        fcntl.ioctl(listener, _RECEIVE, notice)
        question, process, _ = _NOTICE.unpack_from(notice)
        if may_fork(process):
            answer = _ANSWER.pack(question, 0, 0, _CONTINUE)
        else:
            answer = _ANSWER.pack(question, 0, -errno.EPERM, 0)
        fcntl.ioctl(listener, _SEND, answer)
