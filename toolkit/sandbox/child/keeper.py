"""The process between the host and a zygote's sessions: it has them made, lets them fork, ends and buries them.

It obeys its host over a socket that keeps message boundaries: `open` comes with the descriptor of the new session's
channel, `allow` and `adopt` frame the forks of a session, `kill` ends one; `ready`, `opened`, `refused`, `adopted` and
`ended` go back. When the host closes its end, or dies, or the zygote does, every session is killed and reaped, and the
keeper ends. Invariant: every session, and whatever it forks, is a child of this process. No user code runs here, and
what sessions can do to it is known: ask to fork, and die.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import resource
import select
import signal
import socket
import sys
from dataclasses import dataclass
from typing import Any

from .preloading import settle_addresses
from .zygote import Zygote

_SUBREAPER = 36
_MESSAGE_BYTES = 1 << 16
_RETRY_S = 0.001
_UNORDERED_FORKS = 50
"""So often a session may try to fork by itself; then it is killed, because each try takes the keeper's time."""


def main() -> None:
    """Argument: descriptor of the control socket. The configuration is read from the standard input."""
    settle_addresses()
    control = socket.socket(fileno=fcntl.fcntl(int(sys.argv[1]), fcntl.F_DUPFD_CLOEXEC, 3))
    del sys.argv[1:]  # sessions see it, and it is not the same in all workers
    config = json.load(sys.stdin)
    # Nothing can be read there. Not a pipe: sessions could open its other end in /proc, and talk to each other.
    os.dup2(1, 0)
    sys.path.extend(config["library_paths"])
    try:
        zygote = Zygote(config, control)
    except OSError as error:
        control.send(json.dumps({"event": "failed", "message": str(error)}).encode())
    else:
        Keeper(control, zygote).serve()


@dataclass(slots=True)
class _Order:
    """The host's, for a session to fork."""

    forks: int
    let_through: int = 0
    """How often it was allowed to so far."""


class Keeper:
    """Has sessions made, lets them fork, ends them, and reports how they ended."""

    def __init__(self, control: socket.socket, zygote: Zygote) -> None:
        self._control = control
        self._zygote = zygote
        self._pids: dict[int, int] = {}
        self._sessions: dict[int, int] = {}
        self._waiting: dict[int, int] = {}
        """Channels of sessions that could not be made yet: too many descriptors of this user are under way."""
        self._orders: dict[int, _Order] = {}
        """To fork, by the process id of the session that is to."""
        self._unordered: dict[int, int] = {}
        # Processes that a session leaves behind become our children, where they can be found.
        ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self._wakeup, wakeup = socket.socketpair()
        self._wakeup.setblocking(False)
        wakeup.setblocking(False)
        signal.set_wakeup_fd(wakeup.detach(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._poll = select.epoll()
        for descriptor in (self._control.fileno(), self._wakeup.fileno(), self._zygote.gate):
            if descriptor is not None:
                self._poll.register(descriptor, select.EPOLLIN)

    def serve(self) -> None:
        """Serve the host until it closes its end."""
        try:
            self._tell(event="ready")
            while self._turn():
                pass
        except OSError:  # the host is gone, in the middle of an answer, or the zygote
            pass
        self._end()

    def _turn(self) -> bool:
        events = dict(self._poll.poll(_RETRY_S if self._waiting else None))
        if self._zygote.gate in events:
            self._zygote.hear_question()
        for session, channel in list(self._waiting.items()):
            self._open(session, channel)
        # The host to the end, before any answer: what it has allowed must be known before a session asks for it.
        if not self._obey_all():
            return False
        if self._wakeup.fileno() in events:
            with contextlib.suppress(BlockingIOError):
                while self._wakeup.recv(_MESSAGE_BYTES):
                    pass
            self._reap()
        self._zygote.answer_questions(self._may_fork)
        return True

    def _obey_all(self) -> bool:
        while select.select([self._control], [], [], 0)[0]:
            body, descriptors, _, _ = socket.recv_fds(self._control, _MESSAGE_BYTES, 1)
            if not body:
                return False
            self._obey(json.loads(body), descriptors)
        return True

    def _obey(self, message: dict[str, Any], descriptors: list[int]) -> None:
        order, session = message["do"], message["session"]
        if order == "open":
            if descriptors:
                self._open(session, descriptors[0])
            else:  # the kernel drops what there is no room for
                self._tell(event="refused", session=session, message="too many open files")
        elif order == "allow" and session in self._pids:
            self._orders[self._pids[session]] = _Order(message["forks"])
        elif order == "adopt":
            self._adopt(session, message["forks"])
        elif order == "kill" and session in self._pids:
            os.kill(self._pids[session], signal.SIGKILL)
        elif order == "kill":  # it was never made, or has just ended
            if session in self._waiting:
                os.close(self._waiting.pop(session))
            self._tell(event="ended", session=session)

    def _open(self, session: int, channel: int) -> None:
        self._waiting[session] = channel
        try:
            pid = self._zygote.fork(channel)
        except (BrokenPipeError, ConnectionResetError):
            raise
        except OSError as error:
            if error.errno == errno.ETOOMANYREFS:
                return
            self._tell(event="refused", session=session, message=error.strerror)
        else:
            self._enter(session, pid)
            self._tell(event="opened", session=session)
        os.close(self._waiting.pop(session))

    def _enter(self, session: int, pid: int) -> None:
        """Keep a session's process, in a process group of its own, which it cannot leave."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.setpgid(pid, pid)
        self._pids[session] = pid
        self._sessions[pid] = session

    def _may_fork(self, pid: int) -> bool:
        try:
            group = os.getpgid(pid)
        except ProcessLookupError:
            return False
        order = self._orders.get(group)
        if order is not None and order.let_through < order.forks:
            order.let_through += 1
            return True
        self._unordered[group] = self._unordered.get(group, 0) + 1
        if self._unordered[group] > _UNORDERED_FORKS and group in self._sessions:
            os.kill(group, signal.SIGKILL)
        return False

    def _adopt(self, session: int, forks: dict[str, int]) -> None:
        """Take over the forks that a session tells, if they are its own and all that it was let make.

        A session that keeps one for itself, perhaps one that is just being born, is ended with all of them: the burial
        of each who may still make one is followed by a sweep.
        """
        base = self._pids.get(session, 0)
        order = self._orders.pop(base, _Order(0))
        told = {int(fork): pid for fork, pid in forks.items() if self._is_fork(pid, base)}
        if order.let_through == len(told):
            for fork, pid in told.items():
                self._enter(fork, pid)
        else:
            told = {}
            if base:
                os.kill(base, signal.SIGKILL)
        self._sweep()
        self._tell(event="adopted", session=session, forks=list(told))

    def _is_fork(self, pid: int, base: int) -> bool:
        """Whether `pid` is a child of ours in the process group of the session `base`; 0: a session that is dead."""
        return base != 0 and pid not in self._sessions and _alive_child(pid) and os.getpgid(pid) == base

    def _reap(self) -> None:
        """Bury the dead, with all that was in their process groups, and tell the host."""
        buried = False
        while (pid := _dead_child()) is not None:
            buried = True
            # The dead leader still holds the number of its process group: nobody else can be hit.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            if pid == self._zygote.pid:
                raise BrokenPipeError("the zygote died")
            self._orders.pop(pid, None)
            self._unordered.pop(pid, None)
            session = self._sessions.pop(pid, None)
            if session is not None:
                del self._pids[session]
                self._tell(event="ended", session=session, status=os.waitstatus_to_exitcode(status))
        if buried:
            self._sweep()

    def _sweep(self) -> None:
        """Kill children that are no sessions, nor forks on their way to be adopted."""
        for pid in _children().difference(self._sessions, {self._zygote.pid}):
            if os.getpgid(pid) not in self._orders:
                os.kill(pid, signal.SIGKILL)

    def _end(self) -> None:
        for pid in (*self._sessions, self._zygote.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._sessions.clear()
        self._orders.clear()
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)
                self._sweep()

    def _tell(self, **message: object) -> None:
        self._control.send(json.dumps(message).encode())


def _children() -> set[int]:
    """Of this process; none if the kernel is one without CONFIG_PROC_CHILDREN."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            return {int(child) for child in file.read().split()}
    except FileNotFoundError:
        return set()


def _dead_child() -> int | None:
    """A child that has ended and is not buried yet."""
    try:
        info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return None if info is None else info.si_pid


def _alive_child(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False
