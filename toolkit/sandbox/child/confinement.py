"""What the zygote gives up before it makes sessions, for itself and for them: capabilities, files, system calls.

Invariant: after `hand_over` nothing of it can be taken back, and forks inherit it. Not covered: namespaces, which the
keeper is started in.
"""

from __future__ import annotations

import base64
import ctypes
import os
import struct
from typing import Any

from .gate import GATE
from .landlock import Landlock

_NO_NEW_PRIVILEGES = 38
_MODE_FILTER = 1
_NEW_LISTENER = 1 << 3
_CAPABILITIES_V3 = 0x20080522
_INSTRUCTION_BYTES = 8
UNDUMPABLE = (4, 0)
"""PR_SET_DUMPABLE. Forks have one Landlock domain, which would let them look at each other's links in /proc."""


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


class Confinement:
    """Landlock and seccomp as `config` has them: `readable` paths, `filter`, `numbers` of system calls.

    Raises:
        OSError: the kernel cannot do it.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._numbers: dict[str, int] = config["numbers"]
        self._landlock = Landlock(config["readable"], self._numbers)
        self._filter = base64.b64decode(config["filter"])
        self._program = _Program(len(self._filter) // _INSTRUCTION_BYTES, self._filter)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What must be open for `hand_over`, which closes it."""
        return (self._landlock.descriptor,)

    def hand_over(self, announce: int) -> None:
        """Confine this process for good, and return when whoever is at the other end has the gate to its forks.

        Raises:
            OSError: the kernel refuses; the process must not go on.
        """
        gate = self._apply()
        os.write(announce, GATE.pack(gate))
        os.read(announce, 1)
        os.close(gate)  # who holds it may answer
        self._check("prctl", self._libc.prctl(*UNDUMPABLE))  # not before: nobody could fetch the gate

    def _apply(self) -> int:
        header = struct.pack("=Ii", _CAPABILITIES_V3, 0)
        self._check("capset", self._libc.capset(header, bytes(24)))
        self._check("prctl", self._libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
        self._landlock.restrict()
        os.close(self._landlock.descriptor)
        number = ctypes.c_long(self._numbers["seccomp"])
        listener = self._libc.syscall(
            number, ctypes.c_long(_MODE_FILTER), ctypes.c_long(_NEW_LISTENER), ctypes.byref(self._program)
        )
        return self._check("seccomp", listener)

    def _check(self, name: str, result: int) -> int:
        if result < 0:
            raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
        return result
