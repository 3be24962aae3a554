"""The workers of a sandbox: one at first, one more for each session that is open at once, up to one a core.

Its zygote costs half a second of a core to start, so that whoever opens one session does not pay for sixteen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from toolkit.errors import RunError
from toolkit.sandbox.process import SessionProcess
from toolkit.sandbox.worker import Worker


class WorkerPool:
    """Hands out processes of the least busy worker; replaces workers that died."""

    def __init__(
        self, config: Mapping[str, object], level: int, readable: Sequence[str], frame_bytes: int, most: int
    ) -> None:
        self._config, self._level, self._readable, self._frame_bytes = config, level, readable, frame_bytes
        self._most = max(1, most)
        self._workers: list[Worker] | None = None
        self._homes: dict[SessionProcess, Worker] = {}

    @property
    def can_fork(self) -> bool:
        """Forks must be asked for, which needs seccomp."""
        return self._level >= 2

    def start(self) -> None:
        """Start the first worker."""
        self._workers = [self._start_one()]

    async def stop(self) -> None:
        """End all workers and their sessions."""
        workers, self._workers = self._workers or [], None
        for worker in workers:
            await worker.stop()
        self._homes.clear()

    async def spawn(self) -> SessionProcess:
        """A fresh process.

        Raises:
            RunError: the sandbox is not entered or did not start, or there can be no new process.
        """
        if self._workers is None:
            raise RunError("the sandbox is not running; open sessions inside `async with sandbox:`")
        self._workers[:] = [worker for worker in self._workers if not worker.lost]
        if len(self._workers) < self._most and all(worker.load for worker in self._workers):
            self._workers.append(self._start_one())
        worker = min(self._workers, key=lambda worker: (not worker.started, worker.load))
        process = await worker.spawn()
        self._settle(process, worker)
        return process

    async def fork(self, base: SessionProcess, action: int, count: int, timeout_s: float) -> list[SessionProcess]:
        """Forks of a process; see `Worker.fork`."""
        worker = self._homes[base]
        forks = await worker.fork(base, action, count, timeout_s)
        for fork in forks:
            self._settle(fork, worker)
        return forks

    def _settle(self, process: SessionProcess, worker: Worker) -> None:
        self._homes[process] = worker
        process.ended.add_done_callback(lambda _: self._homes.pop(process, None))

    def _start_one(self) -> Worker:
        return Worker(self._config, self._level, self._readable, self._frame_bytes)
