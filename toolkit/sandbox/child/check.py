"""A confined process that tries what it must not be able to do; how it went is printed as JSON.

The host runs this once to learn which level holds here, instead of believing version numbers.
"""

from __future__ import annotations

import json
import mmap
import os
import select
import socket
import sys
from typing import Any

from .confinement import Confinement
from .gate import answer, next_question, take_gate
from .siblings import fork_sibling

_ANSWER_S = 5.0


def main() -> None:
    """The configuration is read from the standard input; exit status 1 and a message if something does not hold."""
    config = json.load(sys.stdin)
    try:
        broken = [
            f"its {name} namespace is the host's own"
            for name, outside in config.get("namespaces", {}).items()
            if os.readlink(f"/proc/self/ns/{name}") == outside
        ]
        broken += _try_everything(config)
    except OSError as error:
        broken = [str(error)]
    sys.stdout.write(json.dumps({"broken": broken}))


def _try_everything(config: dict[str, Any]) -> list[str]:
    confinement = Confinement(config)
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            confinement.hand_over(theirs.fileno())
            found = _broken(config["readable"][0])
        except OSError as error:
            found = [str(error)]
        os.write(writer, json.dumps(found).encode())
        os._exit(0)
    theirs.close()
    os.close(writer)
    gate = take_gate(ours, pid, config["numbers"])
    if gate is not None:
        if not select.select([gate], [], [], _ANSWER_S)[0]:
            return ["a fork was not asked for"]
        question = next_question(gate)
        if question is not None:
            answer(gate, question, may_fork=False)
    body = os.read(reader, 1 << 12)
    os.waitpid(pid, 0)
    return list(json.loads(body)) if gate is not None or body else ["the gate to its forks cannot be had"]


def _broken(readable: str) -> list[str]:
    """What could be done that must not be possible, and the other way round."""
    broken = []
    attempts: dict[str, Any] = {
        "a process was forked": fork_sibling,
        "a file was opened": lambda: os.open("/proc/self/environ", os.O_RDONLY),
        "a socket was made": socket.socket,
        "a process was signalled": lambda: os.kill(os.getpid(), 0),
        "memory was made that forks share": lambda: mmap.mmap(-1, mmap.PAGESIZE),
    }
    for what, attempt in attempts.items():
        try:
            if attempt() == 0:
                os._exit(0)  # the child of a fork that was let through
        except PermissionError:
            continue
        broken.append(what)
    try:
        os.listdir(readable)
    except OSError as error:
        broken.append(f"{readable} cannot be read: {error}")
    return broken
