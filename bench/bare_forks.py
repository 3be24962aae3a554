"""Interpreters in bare forks of a process that holds numpy and sympy: the least that a process for each rollout costs.

    python -m bench.bare_forks DESCRIPTOR

is that process; it forks itself for every descriptor that arrives, and each fork runs what it reads there by `exec`.
There is no confinement, no limit, no record, no protocol; hostile or long texts are not for this.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import io
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

MODULES = ("numpy", "sympy")
_READ_BYTES = 1 << 16


class BareFork:
    """One interpreter, as a client of it sees it."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        channel.setblocking(False)

    async def run(self, code: str) -> str:
        """What `code` prints, or the answer that it gives."""
        loop = asyncio.get_running_loop()
        printed: asyncio.Future[bytes] = loop.create_future()
        loop.add_reader(self._channel.fileno(), lambda: printed.set_result(self._channel.recv(_READ_BYTES)))
        self._channel.send(code.encode())
        text = (await printed).decode()
        loop.remove_reader(self._channel.fileno())
        return text.strip()

    def close(self) -> None:
        """End it."""
        self._channel.close()


class BareForks:
    """Where they come from."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders

    def open(self) -> BareFork:
        """A new one."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._orders, [b"."], [theirs.fileno()])
        return BareFork(ours)


@contextlib.contextmanager
def bare_forks() -> Iterator[BareForks]:
    """While entered, the process is there."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "bench.bare_forks", str(theirs.fileno())]
    with subprocess.Popen(command, pass_fds=[theirs.fileno()]), ours:
        theirs.close()
        yield BareForks(ours)


def main() -> None:
    """Fork for each descriptor that arrives, until the other end is closed."""
    for module in MODULES:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as orders:
        while (arrived := socket.recv_fds(orders, 1, 1))[0]:
            descriptors = arrived[1]
            if os.fork() == 0:
                orders.close()
                _obey(descriptors[0])
            os.close(descriptors[0])
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


class _Answer(BaseException):
    pass


def _obey(channel: int) -> None:
    def final_answer(answer: object) -> None:
        print(answer)
        raise _Answer

    names: dict[str, object] = {"final_answer": final_answer}
    while code := os.read(channel, _READ_BYTES):
        with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(_Answer):
            exec(code, names)
        os.write(channel, printed.getvalue().encode())
    os._exit(0)


if __name__ == "__main__":
    main()
