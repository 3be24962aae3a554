"""The process that sessions are forked from.

It imports the allowed libraries once (numpy and sympy take half a second), then obeys its host over a socket that
keeps message boundaries: `open` comes with the descriptor of the new session's channel, `allow` and `adopt` frame the
forks of a session, `kill` ends one; `ready`, `opened`, `refused`, `adopted` and `ended` go back. When the host closes
its end, or dies, every session is killed and reaped, and the zygote ends. Invariant: no user code runs here, and what
sessions can do to it is known: ask to fork, and die.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import resource
import select
import signal
import socket
import sys
import traceback
from typing import Any, NoReturn

from .confinement import Confinement
from .gate import answer_fork
from .preloading import preload, settle_addresses, settle_memory
from .session import CHANNEL, Session, warm_up

_SUBREAPER = 36
_PARENT_DEATH_SIGNAL = 1
_MESSAGE_BYTES = 1 << 16
_UNORDERED_FORKS = 50
"""So often a session may try to fork by itself; then it is killed, because each try takes the zygote's time."""


def main() -> None:
    """Argument: descriptor of the control socket. The configuration is read from the standard input."""
    settle_addresses()
    control = socket.socket(fileno=fcntl.fcntl(int(sys.argv[1]), fcntl.F_DUPFD_CLOEXEC, CHANNEL + 1))
    config = json.load(sys.stdin)
    # Nothing can be read there. Not a pipe: sessions could open its other end in /proc, and talk to each other.
    os.dup2(1, 0)
    os.dup2(control.fileno(), CHANNEL)  # some socket, so that nothing else takes the number of the sessions' own
    sys.path.extend(config["library_paths"])
    try:
        preload(config["modules"])
        warm_up()
        session = Session(config)
        settle_memory()
        confinement = Confinement(config) if config["level"] >= 2 else None
    except Exception as error:  # whatever a library raises on import, the host must hear of it
        control.send(json.dumps({"event": "failed", "message": f"{type(error).__name__}: {error}"[:2000]}).encode())
    else:
        Zygote(control, session, confinement).serve()


class Zygote:
    """Forks sessions, lets them fork, ends them, and reports how they ended."""

    def __init__(self, control: socket.socket, session: Session, confinement: Confinement | None) -> None:
        self._control = control
        self._session = session
        self._confinement = confinement
        self._pids: dict[int, int] = {}
        self._sessions: dict[int, int] = {}
        self._announcing: dict[int, tuple[socket.socket, int]] = {}
        """Sessions that are being confined, by the descriptor on which they will say so."""
        self._forks_left: dict[int, int] = {}
        """Ordered forks that a session may still make, by its process id."""
        self._unordered: dict[int, int] = {}
        self._prctl = ctypes.CDLL(None, use_errno=True).prctl
        self._pid = os.getpid()
        # Processes that a session leaves behind become our children, where they can be found.
        self._prctl(_SUBREAPER, 1)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self._wakeup, wakeup = socket.socketpair()
        self._wakeup.setblocking(False)
        wakeup.setblocking(False)
        signal.set_wakeup_fd(wakeup.detach(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._poll = select.epoll()
        self._poll.register(self._control.fileno(), select.EPOLLIN)
        self._poll.register(self._wakeup.fileno(), select.EPOLLIN)

    def serve(self) -> None:
        """Serve the host until it closes its end."""
        try:
            self._tell(event="ready")
            while self._turn():
                pass
        except OSError:  # the host is gone, in the middle of an answer
            pass
        self._end()

    def _turn(self) -> bool:
        events = dict(self._poll.poll())
        # The host first, and to the end: what it has allowed must be known before a session asks for it.
        if events.pop(self._control.fileno(), 0) and not self._obey_all():
            return False
        if events.pop(self._wakeup.fileno(), 0):
            with contextlib.suppress(BlockingIOError):
                while self._wakeup.recv(_MESSAGE_BYTES):
                    pass
            self._reap()
        for descriptor, event in events.items():
            if descriptor in self._announcing:
                self._hear_of_gate(descriptor)
            elif event & select.EPOLLIN:
                answer_fork(descriptor, self._may_fork)
            else:  # nobody is left who could ask
                self._poll.unregister(descriptor)
                os.close(descriptor)
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
            self._forks_left[self._pids[session]] = message["forks"]
        elif order == "adopt":
            self._adopt(session, message["forks"])
        elif order == "kill" and session in self._pids:
            os.kill(self._pids[session], signal.SIGKILL)
        elif order == "kill":  # it was never made, or has just ended
            self._tell(event="ended", session=session)

    def _open(self, session: int, channel: int) -> None:
        ours = theirs = None
        try:
            if self._confinement is not None:
                ours, theirs = socket.socketpair()
            pid = os.fork()
        except OSError as error:
            self._tell(event="refused", session=session, message=error.strerror)
            return
        finally:
            if os.getpid() == self._pid:
                os.close(channel)
                if theirs is not None:
                    theirs.close()
        if pid == 0:
            self._become_session(channel, theirs)
        self._enter(session, pid)
        if ours is None:
            self._tell(event="opened", session=session)
        else:
            self._announcing[ours.fileno()] = (ours, session)
            self._poll.register(ours.fileno(), select.EPOLLIN)

    def _become_session(self, channel: int, announce: socket.socket | None) -> NoReturn:
        status = 70
        try:
            self._prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
            if os.getppid() == self._pid:
                self._session.serve(channel, announce, self._confinement)
            status = 0
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(status)

    def _enter(self, session: int, pid: int) -> None:
        """Keep a session's process, in a process group of its own, which it cannot leave."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.setpgid(pid, pid)
        self._pids[session] = pid
        self._sessions[pid] = session

    def _hear_of_gate(self, descriptor: int) -> None:
        """A session is confined and hands over the descriptor at which its forks are asked for."""
        announcing, session = self._announcing.pop(descriptor)
        self._poll.unregister(descriptor)
        pid = self._pids.get(session)
        assert self._confinement is not None
        with announcing:
            gate = self._confinement.take_gate(announcing, pid) if pid is not None else None
        if gate is not None:
            self._poll.register(gate, select.EPOLLIN)
            self._tell(event="opened", session=session)
        elif pid is not None:  # it died on the way; the host hears of it when it is reaped
            os.kill(pid, signal.SIGKILL)

    def _may_fork(self, pid: int) -> bool:
        try:
            group = os.getpgid(pid)
        except ProcessLookupError:
            return False
        left = self._forks_left.get(group, 0)
        if left > 0:
            self._forks_left[group] = left - 1
            return True
        self._unordered[group] = self._unordered.get(group, 0) + 1
        if self._unordered[group] > _UNORDERED_FORKS and group in self._sessions:
            os.kill(group, signal.SIGKILL)
        return False

    def _adopt(self, session: int, forks: dict[str, int]) -> None:
        """Take over the processes that a session says it has forked, if they are its own and now our children."""
        group = self._pids.get(session, 0)
        self._forks_left.pop(group, None)
        adopted = []
        for fork, pid in forks.items():
            if pid not in self._sessions and _alive_child(pid) and os.getpgid(pid) == group:
                self._enter(int(fork), pid)
                adopted.append(int(fork))
        self._end_hidden(group, group)
        self._sweep()
        self._tell(event="adopted", session=session, forks=adopted)

    def _reap(self) -> None:
        """Bury the dead, with all that was in their process groups, and tell the host."""
        buried = False
        while (pid := _dead_child()) is not None:
            buried = True
            # The dead leader still holds the number of its process group: nobody else can be hit.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            self._forks_left.pop(pid, None)
            self._unordered.pop(pid, None)
            session = self._sessions.pop(pid, None)
            if session is not None:
                del self._pids[session]
                self._tell(event="ended", session=session, status=os.waitstatus_to_exitcode(status))
        if buried:
            self._sweep()

    def _sweep(self) -> None:
        """Kill children that are no sessions, nor forks on their way to be adopted."""
        for pid in _children(self._pid).difference(self._sessions):
            if os.getpgid(pid) not in self._forks_left:
                os.kill(pid, signal.SIGKILL)

    def _end_hidden(self, pid: int, group: int) -> None:
        """Kill the descendants that `pid`, of a session's process `group`, has kept for itself."""
        for child in _children(pid):
            self._end_hidden(child, group)
            with contextlib.suppress(ProcessLookupError):
                if os.getpgid(child) == group:
                    os.kill(child, signal.SIGKILL)

    def _end(self) -> None:
        for pid in self._sessions:
            os.kill(pid, signal.SIGKILL)
        self._sessions.clear()
        self._forks_left.clear()
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)
                self._sweep()

    def _tell(self, **message: object) -> None:
        self._control.send(json.dumps(message).encode())


def _children(pid: int) -> set[int]:
    """Of a process; none if it is gone, or the kernel is one without CONFIG_PROC_CHILDREN."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return {int(child) for child in file.read().split()}
    except (FileNotFoundError, ProcessLookupError):
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
