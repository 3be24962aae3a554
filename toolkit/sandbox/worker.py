"""The host's hold on a zygote: start it, ask it for session processes, end it.

Invariant: when `stop` returns, no process, descriptor or directory of the worker is left, whichever way its
sessions ended. A zygote that dies takes its sessions along; their owners are told, and may ask another worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from toolkit.errors import RunError
from toolkit.sandbox.process import SessionProcess

_START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from child.zygote import main; del sys.path[0]; main()"
_INHERITED = ("LD_LIBRARY_PATH",)
_STOP_S = 10.0
_MESSAGE_BYTES = 65_536


class Worker:
    """A zygote that is starting or serving."""

    def __init__(self, config: Mapping[str, object], frame_bytes: int) -> None:
        """Start it without waiting for it; what fails in it shows in the first `spawn`.

        Raises:
            RunError: the system is out of processes, memory, descriptors or disk.
        """
        loop = asyncio.get_running_loop()
        self._frame_bytes = frame_bytes
        self._processes: dict[int, SessionProcess] = {}
        self._opening: dict[int, asyncio.Future[str | None]] = {}
        self._sessions = 0
        self._ready: asyncio.Future[str | None] = loop.create_future()
        self._gone: asyncio.Future[None] = loop.create_future()
        self._directory = Path(tempfile.mkdtemp(prefix="toolkit-sandbox-"))
        try:
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with contextlib.ExitStack() as undo, theirs:
                undo.callback(self._control.close)
                self._zygote = self._launch(theirs, config)
                undo.pop_all()
        except OSError as error:
            shutil.rmtree(self._directory, ignore_errors=True)
            raise RunError(f"the sandbox cannot start a process: {error}; raise this user's limits") from error
        self._control.setblocking(False)
        loop.add_reader(self._control, self._listen)

    @property
    def lost(self) -> bool:
        """Whether it can serve no more."""
        return self._gone.done()

    async def spawn(self) -> SessionProcess:
        """A new process in the state that the zygote prepared.

        Raises:
            RunError: the zygote did not start, or the system is out of processes, memory or descriptors.
        """
        problem = await asyncio.shield(self._ready)
        if problem is not None:
            raise RunError(f"the sandbox did not start: {problem}")
        self._sessions += 1
        session = self._sessions
        process = SessionProcess(partial(self._tell, "kill", session), self._frame_bytes)
        ours = await self._request(session)
        self._processes[session] = process
        opened = self._opening[session] = asyncio.get_running_loop().create_future()
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: process, sock=ours)
            problem = await opened
        except BaseException:
            process.kill()
            raise
        finally:
            del self._opening[session]
        if problem is not None:
            process.kill()
            raise RunError(f"no new sandbox session: {problem}; close sessions, or raise this user's limits")
        return process

    async def stop(self) -> None:
        """End every process of it and remove its directory."""
        if self.lost:
            return
        for process in self._processes.values():
            process.kill()
        try:
            self._control.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(_STOP_S):
                await asyncio.shield(self._gone)
        except (TimeoutError, OSError):
            self._zygote.kill()
        finally:
            self._lose()

    def _launch(self, theirs: socket.socket, config: Mapping[str, object]) -> subprocess.Popen[bytes]:
        settings = self._directory / "settings.json"
        settings.write_text(json.dumps({**config, "directory": str(self._directory)}))
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        environment |= {
            "HOME": str(self._directory),
            "LANG": "C.UTF-8",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "PATH": "/usr/bin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            "PYTHONUTF8": "1",
            "TZ": "UTC",
        }
        # -I would ignore the hash seed; -s -P -S keep user and site directories out just the same.
        flags = [sys.executable, "-s", "-P", "-S", "-c", _START, str(Path(__file__).parent)]
        with (self._directory / "stderr").open("wb") as errors:
            return subprocess.Popen(
                [*flags, str(theirs.fileno()), str(settings)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=environment,
                cwd=self._directory,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    async def _request(self, session: int) -> socket.socket:
        """Send the zygote one end of a new channel; the other end."""
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise RunError(f"no new sandbox session: {error.strerror}; raise the limit of open files") from error
        message = json.dumps({"do": "open", "session": session}).encode()
        try:
            with theirs:
                while not self._offer(message, theirs):  # hundreds at a time; the zygote is reading
                    await asyncio.sleep(0.001)
        except BaseException:
            ours.close()
            raise
        ours.setblocking(False)
        return ours

    def _offer(self, message: bytes, channel: socket.socket) -> bool:
        if self.lost:
            raise RunError("no new sandbox session: the worker died")
        try:
            socket.send_fds(self._control, [message], [channel.fileno()])
        except BlockingIOError:
            return False
        except OSError as error:
            raise RunError("no new sandbox session: the worker is dying") from error
        return True

    def _tell(self, action: str, session: int) -> None:
        process = self._processes.get(session)
        if process is None or process.ended.done() or self.lost:
            return
        try:
            self._control.send(json.dumps({"do": action, "session": session}).encode())
        except BlockingIOError:
            asyncio.get_running_loop().call_later(0.001, self._tell, action, session)
        except OSError:  # the zygote has just died; `_listen` will see it
            pass

    def _listen(self) -> None:
        while True:
            try:
                body = self._control.recv(_MESSAGE_BYTES)
            except BlockingIOError:
                return
            except OSError:
                body = b""
            if not body:
                self._lose()
                return
            self._hear(json.loads(body))

    def _hear(self, message: dict[str, object]) -> None:
        event, session, detail = message["event"], message.get("session"), message.get("message")
        if event in ("ready", "failed"):
            self._ready.set_result(None if event == "ready" else str(detail))
            return
        assert isinstance(session, int)
        if event == "ended":
            process = self._processes.pop(session)
            status = message["status"]
            process.ended.set_result(status if isinstance(status, int) else None)
            return
        if event == "refused":
            self._processes.pop(session).ended.set_result(None)
        opening = self._opening.get(session)
        if opening is not None and not opening.done():
            opening.set_result(None if event == "opened" else str(detail))

    def _lose(self) -> None:
        """Tell everyone who waits, reap the zygote, which has ended or is about to, and remove what it had."""
        if self.lost:
            return
        self._gone.set_result(None)
        asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        try:
            self._zygote.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._zygote.kill()
            self._zygote.wait()
        if not self._ready.done():
            errors = self._directory / "stderr"
            text = errors.read_text(errors="replace").strip() if errors.exists() else ""
            self._ready.set_result(text.splitlines()[-1] if text else "its process ended")
        for opening in self._opening.values():
            if not opening.done():
                opening.set_result("the worker died")
        for process in self._processes.values():
            process.ended.set_result(None)
            process.kill()
        self._processes.clear()
        shutil.rmtree(self._directory, ignore_errors=True)
