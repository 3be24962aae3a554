"""A session led with nobody, before there are any: what sessions do first is then loaded, cached and specialized.

Python writes down what it learns about code as it runs it (types of operands, where attributes were found), and every
session would write it down anew, to pages of its own.
"""

from __future__ import annotations

import socket
import sys
from typing import Any

from .channel import Channel
from .session import Session

_TIMES = 10
"""Python specializes code that has been run eight times (PEP 659)."""
_NO_LIMIT_MB = 1 << 40
_TOOL = "look_up"
_FRAMES: tuple[dict[str, object], ...] = (
    {"action": 1, "code": "x = [n * 2 for n in range(3)]\nprint(x)\nsum(x)"},
    {"action": 2, "code": "import math\ndef f(a):\n    return a\nprint(f(math.sqrt(2)))"},
    {"action": 3, "code": f"print({_TOOL}('a', k=1))"},
    {"result": "b"},
    {"action": 4, "code": "unknown"},
    {"action": 5, "code": "final_answer(x)"},
)
"""All that the host would send; the answers are not looked at."""


def rehearse(config: dict[str, Any]) -> None:
    """Lead it, with a tool beside those of `config`."""
    # Kept apart, frames can all wait there from the beginning.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    host = Channel(ours.fileno(), config["frame_bytes"])
    for frame in _FRAMES * _TIMES:
        host.send(frame)
    ours.shutdown(socket.SHUT_WR)
    Session(config | {"tools": config["tools"] | {_TOOL: ""}, "memory_mb": _NO_LIMIT_MB}, theirs.detach()).obey()
    ours.detach()  # each channel closes its descriptor
    sys.stdout = sys.__stdout__
