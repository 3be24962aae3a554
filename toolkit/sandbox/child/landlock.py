"""Landlock: a process gives up every file that is not named, for itself and all its descendants.

Rights that the kernel knows are all taken away, as far as its version has them; given back is reading below the
named paths. No TCP, and no signals or abstract sockets to processes outside, where the kernel can do that.
Source: the kernel's `userspace-api/landlock`, ABI 1 to 6.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable, Mapping

_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_ASK_VERSION = 1
_RULE_PATH_BENEATH = 1
_FILE_RIGHTS = ((5, 16), (3, 15), (2, 14), (1, 13))
"""From which ABI on the kernel knows how many rights on files."""
_TCP_RIGHTS = 0b11
_SCOPES = 0b11


class Landlock:
    """A set of readable paths, made once; `restrict` may be called in every fork.

    Raises:
        OSError: the kernel has no Landlock, or it is switched off.
    """

    def __init__(self, readable: Iterable[str], numbers: Mapping[str, int]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._numbers = numbers
        self.abi = self._call("landlock_create_ruleset", None, 0, _ASK_VERSION)
        rights = next(rights for abi, rights in _FILE_RIGHTS if self.abi >= abi)
        handled = struct.pack("=QQQ", (1 << rights) - 1, _TCP_RIGHTS, _SCOPES)
        # A kernel takes no field that it does not know.
        known = handled[: 8 if self.abi < 4 else 16 if self.abi < 6 else 24]
        self.descriptor = self._call("landlock_create_ruleset", known, len(known), 0)
        """Of the set."""
        for path in readable:
            self._allow(path)

    def restrict(self) -> None:
        """Give up everything else; cannot be undone. `PR_SET_NO_NEW_PRIVS` must have been set."""
        self._call("landlock_restrict_self", self.descriptor, 0)

    def _allow(self, path: str) -> None:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            rule = struct.pack("=Qi", _READ_FILE | (_READ_DIR if directory else 0), descriptor)
            self._call("landlock_add_rule", self.descriptor, _RULE_PATH_BENEATH, rule, 0)
        finally:
            os.close(descriptor)

    def _call(self, name: str, *arguments: int | bytes | None) -> int:
        longs = [ctypes.c_long(value) if isinstance(value, int) else ctypes.c_char_p(value) for value in arguments]
        result = int(self._libc.syscall(ctypes.c_long(self._numbers[name]), *longs))
        if result < 0:
            raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
        return result
