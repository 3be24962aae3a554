"""The host's hold on a keeper and its zygote: start them, ask for session processes, let sessions fork, end them.

Invariant: when `stop` returns, no process, descriptor or file of the worker is left, whichever way its
sessions ended. A worker that dies takes its sessions along; their owners are told, and may ask another worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial

from toolkit.errors import RunError
from toolkit.sandbox.frames import MalformedFrameError, frame_of, read_forked
from toolkit.sandbox.launching import command, environment
from toolkit.sandbox.process import FULL, ProcessLostError, SessionProcess
from toolkit.sandbox.strays import end_strays

Answer = list[int] | str | None
"""Of the keeper: adopted forks, what is wrong, or nothing."""
_STOP_S = 10.0
_MESSAGE_BYTES = 65_536
_FORKS_AT_ONCE = 32
"""Forks of one order; a session may not have many descriptors open."""


class Worker:
    """A keeper and a zygote that are starting or serving."""

    def __init__(self, config: Mapping[str, object], level: int, readable: Sequence[str], frame_bytes: int) -> None:
        """Start it without waiting for it; what fails in it shows in the first `spawn`.

        Raises:
            RunError: the system is out of processes, memory, descriptors or disk.
        """
        loop = asyncio.get_running_loop()
        self._frame_bytes = frame_bytes
        self._processes: dict[int, SessionProcess] = {}
        self._answers: dict[tuple[str, int], asyncio.Future[Answer]] = {}
        self._sessions = 0
        self._ready: asyncio.Future[str | None] = loop.create_future()
        self._gone: asyncio.Future[None] = loop.create_future()
        try:
            with contextlib.ExitStack() as undo:
                self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                undo.callback(self._control.close)
                with theirs:
                    self._errors = undo.enter_context(tempfile.TemporaryFile())
                    self._keeper = self._launch(
                        theirs, config, command(level, readable, "keeper", str(theirs.fileno()))
                    )
                undo.pop_all()
        except OSError as error:
            raise RunError(f"the sandbox cannot start a process: {error}; raise this user's limits") from error
        self._control.setblocking(False)
        loop.add_reader(self._control, self._listen)

    @property
    def lost(self) -> bool:
        """Whether it can serve no more."""
        return self._gone.done()

    @property
    def started(self) -> bool:
        """Whether its libraries are loaded."""
        return self._ready.done()

    @property
    def load(self) -> int:
        """How many session processes it has."""
        return len(self._processes)

    async def spawn(self) -> SessionProcess:
        """A new process in the state that the zygote prepared.

        Raises:
            RunError: the zygote did not start, or the system is out of processes, memory or descriptors.
        """
        problem = await asyncio.shield(self._ready)
        if problem is not None:
            raise RunError(f"the sandbox did not start: {problem}")
        with contextlib.ExitStack() as undo:
            session, process, theirs = self._new_process()
            undo.callback(process.kill)
            with theirs:
                answer = self._expect("opened", session)
                await self._order({"do": "open", "session": session}, [theirs.fileno()])
            refused = await answer
            if refused is not None:
                raise RunError(f"no new sandbox session: {refused}; close sessions, or raise this user's limits")
            undo.pop_all()
        return process

    async def fork(self, base: SessionProcess, action: int, count: int, timeout_s: float) -> list[SessionProcess]:
        """Processes that go on from where `base` is after its `action`; fewer than `count` if more cannot be had.

        A base that does not fork within `timeout_s`, or says what is not so, is ended.

        Raises:
            RunError: the worker died, or the system is out of descriptors.
            ProcessLostError: the base was lost; there are no forks.
        """
        forks: list[SessionProcess] = []
        try:
            while len(forks) < count:
                some = await self._fork_some(base, action, min(count - len(forks), _FORKS_AT_ONCE), timeout_s)
                forks += some
                if not some:
                    break
        except BaseException:
            for fork in forks:
                fork.kill()
            raise
        return forks

    async def _fork_some(self, base: SessionProcess, action: int, count: int, timeout_s: float) -> list[SessionProcess]:
        with contextlib.ExitStack() as undo:
            made = []
            for _ in range(count):
                session, process, theirs = self._new_process()
                undo.callback(process.kill)
                made.append((session, process, undo.enter_context(theirs)))
            undo.callback(base.kill)  # who gave up in the middle must not find its late answer
            await self._order({"do": "allow", "session": base.number, "forks": count})
            base.send(frame_of({"action": action, "fork": count}), [theirs.fileno() for _, _, theirs in made])
            try:
                pids = read_forked(await base.receive(timeout_s), action=action, count=count)
            except MalformedFrameError as error:
                base.fail(str(error))
                raise ProcessLostError("sandbox", str(error)) from error
            answer = self._expect("adopted", base.number)
            forks = {session: pid for (session, _, _), pid in zip(made, pids, strict=False)}
            await self._order({"do": "adopt", "session": base.number, "forks": forks})
            adopted = await answer
            if not isinstance(adopted, list):
                raise RunError(f"no fork of a sandbox session: {adopted}")
            undo.pop_all()
            for session, process, theirs in made:
                theirs.close()
                if session not in adopted:
                    process.kill()
            return [process for session, process, _ in made if session in adopted]

    async def stop(self) -> None:
        """End every process of it."""
        if self.lost:
            return
        for process in list(self._processes.values()):
            process.kill()
        try:
            self._control.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(_STOP_S):
                await asyncio.shield(self._gone)
        except (TimeoutError, OSError):
            self._keeper.kill()
        finally:
            self._lose()

    def _launch(
        self, theirs: socket.socket, config: Mapping[str, object], arguments: list[str]
    ) -> subprocess.Popen[bytes]:
        with tempfile.TemporaryFile() as settings, tempfile.TemporaryDirectory() as nowhere:
            settings.write(json.dumps(config).encode())
            settings.seek(0)
            # The directory is removed at once: nothing can be made in it.
            return subprocess.Popen(
                arguments,
                stdin=settings,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                env=environment(),
                cwd=nowhere,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def _new_process(self) -> tuple[int, SessionProcess, socket.socket]:
        """A number, the host's hold, and the channel's other end for a process that is about to be made."""
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise RunError(f"no new sandbox session: {error.strerror}; raise the limit of open files") from error
        self._sessions += 1
        process = SessionProcess(self._sessions, ours, partial(self._tell_to_kill, self._sessions), self._frame_bytes)
        self._processes[self._sessions] = process
        return self._sessions, process, theirs

    def _expect(self, event: str, session: int) -> asyncio.Future[Answer]:
        """What the keeper will say about `session`: None or adopted forks if all is well, else what is wrong."""
        answer = self._answers[event, session] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(lambda _: self._answers.pop((event, session), None))
        return answer

    async def _order(self, message: dict[str, object], descriptors: Sequence[int] = ()) -> None:
        body = json.dumps(message).encode()
        while not self._offer(body, descriptors):  # hundreds at a time; the keeper is reading
            await asyncio.sleep(0.001)

    def _offer(self, body: bytes, descriptors: Sequence[int]) -> bool:
        if self.lost:
            raise RunError("no new sandbox session: the worker died")
        try:
            socket.send_fds(self._control, [body], descriptors)
        except OSError as error:
            if error.errno in FULL:
                return False
            self._lose()  # at once: who tries again without a pause would not let `_listen` see it
            raise RunError("no new sandbox session: the worker is dying") from error
        return True

    def _tell_to_kill(self, session: int) -> None:
        process = self._processes.get(session)
        if process is None or process.ended.done() or self.lost:
            return
        try:
            self._control.send(json.dumps({"do": "kill", "session": session}).encode())
        except BlockingIOError:
            asyncio.get_running_loop().call_later(0.001, self._tell_to_kill, session)
        except OSError:  # the keeper has just died; `_listen` will see it
            pass

    def _listen(self) -> None:
        while not self.lost:
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
        event, detail = message["event"], message.get("message")
        if event in ("ready", "failed"):
            self._ready.set_result(
                None if event == "ready" else str(detail or self._last_error() or "its process ended")
            )
            return
        session = message["session"]
        assert isinstance(session, int)
        if event == "opened":
            self._settle("opened", session, None)
        elif event == "adopted":
            forks = message["forks"]
            assert isinstance(forks, list)
            self._settle("adopted", session, forks)
        else:
            status, process = message.get("status"), self._processes.pop(session, None)
            if process is not None:
                process.ended.set_result(status if isinstance(status, int) else None)
            self._settle("opened", session, str(detail or self._last_error() or "its process ended at once"))

    def _settle(self, event: str, session: int, answer: Answer) -> None:
        waiting = self._answers.get((event, session))
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def _last_error(self) -> str | None:
        # Not by seeking: the keeper's descriptor would be moved as well.
        lines = os.pread(self._errors.fileno(), _MESSAGE_BYTES, 0).decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else None

    def _lose(self) -> None:
        """Tell everyone who waits, reap the keeper, which has ended or is about to, and close what it had."""
        if self.lost:
            return
        self._gone.set_result(None)
        asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        try:
            self._keeper.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._keeper.kill()
            self._keeper.wait()
        end_strays(self._keeper.pid)
        if not self._ready.done():
            self._ready.set_result(self._last_error() or "its process ended")
        self._errors.close()
        for waiting in list(self._answers.values()):
            if not waiting.done():
                waiting.set_result("the worker died")
        for process in list(self._processes.values()):
            if not process.ended.done():
                process.ended.set_result(None)
            process.kill()
        self._processes.clear()
