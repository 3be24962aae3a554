import asyncio
import socket

import pytest

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
