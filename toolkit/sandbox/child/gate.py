"""The keeper's answer to a session that wants to fork: only when the host has ordered it.

The kernel stops the caller of `clone` and tells its process id; nothing that the caller does can forge that.
Invariant: a session has as many processes as the host has asked for. Source: seccomp_unotify(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Mapping
from typing import NamedTuple

_NOTICE = struct.Struct("=QII")
_NOTICE_BYTES = 80
_ANSWER = struct.Struct("=QqiI")
_CONTINUE = 1
GATE = struct.Struct("=i")
"""How a process announces the descriptor at which its forks are asked for."""


def _request(number: int, size: int) -> int:
    """The ioctl that reads and writes `size` bytes, as `_IOWR('!', number, …)` makes it."""
    return 0b11 << 30 | size << 16 | ord("!") << 8 | number


_RECEIVE = _request(0, _NOTICE_BYTES)
_SEND = _request(1, _ANSWER.size)


def take_gate(announced: socket.socket, pid: int, numbers: Mapping[str, int]) -> int | None:
    """The descriptor at which the forks of `pid`, which announces it, are asked for. None: it cannot be had.

    It is fetched, not sent: a confined process has no right to send it.
    """
    body = announced.recv(GATE.size)
    try:
        (theirs,) = GATE.unpack(body)
        process = os.pidfd_open(pid)
    except (OSError, struct.error):  # it is dead, or too many files are open
        return None
    arguments = (ctypes.c_long(number) for number in (numbers["pidfd_getfd"], process, theirs, 0))
    gate = int(ctypes.CDLL(None).syscall(*arguments))
    os.close(process)
    if gate < 0:
        return None
    announced.send(b"!")
    return gate


class Question(NamedTuple):
    """`process` waits in the kernel to be told whether it may fork."""

    number: int
    process: int


def next_question(gate: int) -> Question | None:
    """The question that has waited longest; waits for one if there is none. None: who asked it has just died."""
    notice = bytearray(_NOTICE_BYTES)
    with contextlib.suppress(FileNotFoundError, InterruptedError):  # a question that is still there is asked again
        fcntl.ioctl(gate, _RECEIVE, notice)
        number, process, _ = _NOTICE.unpack_from(notice)
        return Question(number, process)
    return None


def answer(gate: int, question: Question, *, may_fork: bool) -> None:
    """Let who asked `question` go on, with a fork or without; no matter if it has died meanwhile."""
    number = question.number
    reply = _ANSWER.pack(number, 0, 0, _CONTINUE) if may_fork else _ANSWER.pack(number, 0, -errno.EPERM, 0)
    with contextlib.suppress(FileNotFoundError):
        while True:
            try:
                fcntl.ioctl(gate, _SEND, reply)
                return
            except InterruptedError:  # by a signal, which Python does not hide from ioctl
                continue
