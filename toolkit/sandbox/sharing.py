"""Candidates of one step that ask the same get the same answer, and the tool is asked once.

Invariant: whoever comes later waits for the first; if the first gives up, one of those who wait asks in its place.
A failure is shared like a result, for the candidates shall see one and the same world.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import cast

from toolkit.contracts import ToolUse, Trial

Answered = tuple[ToolUse, bytes]


async def shared(
    trial: Trial, name: str, arguments: dict[str, object], ask: Callable[[], Awaitable[Answered]]
) -> Answered:
    """What `ask` gives for this call, asked once in a trial; later ones are marked as cached."""
    key = json.dumps([name, arguments], sort_keys=True)
    while key in trial.answers:
        try:
            use, frame = cast("Answered", await asyncio.shield(trial.answers[key]))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
        else:
            return replace(use, cached=True, latency_ms=0.0), frame
    answer = trial.answers[key] = asyncio.get_running_loop().create_future()
    try:
        answer.set_result(await ask())
    except BaseException:
        del trial.answers[key]
        answer.cancel()
        raise
    return cast("Answered", answer.result())
