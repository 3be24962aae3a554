"""The process that sessions are forked from.

It imports the allowed libraries once (numpy and sympy take half a second), then obeys its host over a
socket that keeps message boundaries: `open` comes with the descriptor of the new session's channel, `kill` ends one;
`ready`, `opened`, `refused` and `ended` go back. When the host closes its end, or dies, every session is killed and
reaped, the directory is removed, and the zygote ends. Invariant: no user code runs here.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import sys
import warnings
from typing import Any, NoReturn

from .session import serve

_SUBREAPER = 36
_PARENT_DEATH_SIGNAL = 1
_MESSAGE_BYTES = 4096


def main() -> None:
    """Arguments: descriptor of the control socket, path of the configuration."""
    control = socket.socket(fileno=int(sys.argv[1]))
    with open(sys.argv[2], encoding="utf-8") as file:
        config = json.load(file)
    sys.path.extend(config["library_paths"])
    try:
        _preload(config["modules"])
    except Exception as error:  # whatever a library raises on import, the host must hear of it
        control.send(json.dumps({"event": "failed", "message": f"{type(error).__name__}: {error}"[:2000]}).encode())
    else:
        Zygote(control, config).obey()
    shutil.rmtree(config["directory"], ignore_errors=True)


def _preload(modules: list[str]) -> None:
    warnings.simplefilter("ignore")
    sys.set_int_max_str_digits(0)  # time is limited instead; big numbers are half of what actions compute
    for name in modules:
        importlib.import_module(name)
    if "numpy" in modules:
        # numpy loads it lazily, which would cost every session 70 ms.
        importlib.import_module("numpy.random")
    if "sympy" in modules:
        # The first equation loads more modules and fills caches: 0.3 s, which every session would pay.
        sympy: Any = importlib.import_module("sympy")
        sympy.solve(sympy.Symbol("x") ** 2 - 2)
    gc.collect()
    gc.freeze()  # objects that no collection visits keep their pages shared


class Zygote:
    """Forks sessions, ends them, and reports how they ended."""

    def __init__(self, control: socket.socket, config: dict[str, Any]) -> None:
        self._control = control
        self._config = config
        self._pids: dict[int, int] = {}
        self._sessions: dict[int, int] = {}
        self._prctl = ctypes.CDLL(None, use_errno=True).prctl
        self._pid = os.getpid()
        # Processes that a session leaves behind become our children, where they can be found.
        self._prctl(_SUBREAPER, 1)
        self._wakeup, wakeup = socket.socketpair()
        self._wakeup.setblocking(False)
        wakeup.setblocking(False)
        signal.set_wakeup_fd(wakeup.detach())
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def obey(self) -> None:
        """Serve the host until it closes its end."""
        try:
            self._tell(event="ready")
            while self._turn():
                pass
        except OSError:  # the host is gone, in the middle of an answer
            pass
        self._end()

    def _turn(self) -> bool:
        readable, _, _ = select.select([self._control, self._wakeup], [], [])
        if self._wakeup in readable:
            with contextlib.suppress(BlockingIOError):
                while self._wakeup.recv(_MESSAGE_BYTES):
                    pass
            self._reap()
        if self._control in readable:
            body, descriptors, _, _ = socket.recv_fds(self._control, _MESSAGE_BYTES, 1)
            if not body:
                return False
            message = json.loads(body)
            if message["do"] == "open":
                self._open(message["session"], descriptors[0])
            elif message["session"] in self._pids:
                os.kill(self._pids[message["session"]], signal.SIGKILL)
        return True

    def _open(self, session: int, descriptor: int) -> None:
        directory = self._directory(session)
        try:
            os.mkdir(directory, 0o700)
            pid = os.fork()
        except OSError as error:
            shutil.rmtree(directory, ignore_errors=True)
            self._tell(event="refused", session=session, message=error.strerror)
            return
        finally:
            if os.getpid() == self._pid:
                os.close(descriptor)
        if pid == 0:
            self._become_session(descriptor, directory)
        self._pids[session] = pid
        self._sessions[pid] = session
        self._tell(event="opened", session=session)

    def _become_session(self, descriptor: int, directory: str) -> NoReturn:
        status = 70
        try:
            self._prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
            if os.getppid() == self._pid:
                serve(descriptor, directory, self._config)
            status = 0
        finally:
            os._exit(status)

    def _reap(self) -> None:
        while True:
            try:
                info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if info is None:
                return
            # The dead leader still holds the number of its process group: nobody else can be hit.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(info.si_pid, signal.SIGKILL)
            _, status = os.waitpid(info.si_pid, 0)
            self._sweep()
            session = self._sessions.pop(info.si_pid, None)
            if session is not None:
                del self._pids[session]
                shutil.rmtree(self._directory(session), ignore_errors=True)
                self._tell(event="ended", session=session, status=os.waitstatus_to_exitcode(status))

    def _sweep(self) -> None:
        """Kill children that are no sessions: what dead sessions left behind."""
        try:
            with open(f"/proc/self/task/{self._pid}/children", encoding="ascii") as file:
                children = {int(pid) for pid in file.read().split()}
        except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
            return
        for pid in children.difference(self._sessions):
            os.kill(pid, signal.SIGKILL)

    def _end(self) -> None:
        for pid in self._sessions:
            os.kill(pid, signal.SIGKILL)
        self._sessions.clear()
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)
                self._sweep()

    def _directory(self, session: int) -> str:
        return os.path.join(self._config["directory"], f"session-{session}")

    def _tell(self, **message: object) -> None:
        self._control.send(json.dumps(message).encode())
