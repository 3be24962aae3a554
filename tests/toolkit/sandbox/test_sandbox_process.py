import asyncio
import contextlib
import socket
import time

import psutil
import pytest

from toolkit.errors import RunError
from toolkit.sandbox import Sandbox
from toolkit.sandbox.frames import frame_of
from toolkit.sandbox.process import ProcessLostError, SessionProcess


def test_no_frame_is_awaited_awake_when_the_time_is_up() -> None:
    async def main() -> str:
        ours, theirs = socket.socketpair()
        process = SessionProcess(1, ours, lambda: process.ended.set_result(-9), 1_000)
        with theirs:
            process.send(b"an order")
            theirs.send(frame_of({}))
            await process.receive(1.0)
            process.send(b"the next one, at once")
            asyncio.get_running_loop().call_soon(theirs.send, frame_of({}))
            with pytest.raises(ProcessLostError) as lost:
                await process.receive(-1.0)
            return lost.value.kind

    assert asyncio.run(main()) == "timeout"


def test_who_asks_a_dead_worker_again_without_a_pause_gets_another() -> None:
    others = psutil.Process().children(recursive=True)

    async def main() -> int:
        async with Sandbox(modules=["math"], workers=1) as sandbox:
            await sandbox.open()
            victims = [each for each in psutil.Process().children(recursive=True) if each not in others]
            max(victims, key=lambda each: len(each.children())).kill()
            time.sleep(0.2)  # the event loop has no turn
            for refused in range(20):
                with contextlib.suppress(RunError):
                    await sandbox.open()
                    return refused
            return 20

    assert asyncio.run(main()) < 20
