"""What every session starts with: libraries imported, caches warm, objects at the same addresses every time."""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import sys
import warnings
from typing import Any

_ASK = 0xFFFFFFFF
_FIXED_ADDRESSES = 0x0040000
_COLLAPSE = 25
"""MADV_COLLAPSE; older kernels refuse it, which does no harm."""
_HUGE_BYTES = 2 << 20


def settle_addresses() -> None:
    """Start this program again with addresses that do not differ from start to start, if the kernel allows it.

    The order of a set of objects, which hash by their addresses, is then the same in every run. Nothing is lost by
    it: what runs here may read its own memory anyway.
    """
    personality = ctypes.CDLL(None).personality
    current = personality(ctypes.c_ulong(_ASK))
    if current & _FIXED_ADDRESSES == 0 and personality(ctypes.c_ulong(current | _FIXED_ADDRESSES)) != -1:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def preload(modules: list[str]) -> None:
    """Import `modules` and what they would load at their first use."""
    warnings.simplefilter("ignore")
    sys.set_int_max_str_digits(0)  # time is limited instead; big numbers are half of what actions compute
    for name in modules:
        importlib.import_module(name)
    if "numpy" in modules:
        # numpy loads it lazily, which would cost every session 70 ms.
        importlib.import_module("numpy.random")
    if "sympy" in modules:
        # The first equation loads more modules and fills caches: 0.3 s, which every session would pay.
        sympy: Any = importlib.import_module("sympy")
        sympy.solve(sympy.Symbol("x") ** 2 - 2)


def settle_memory() -> None:
    """Make what was loaded so far cheap to share with forks."""
    gc.collect()
    gc.freeze()  # objects that no collection visits keep their pages shared
    _use_huge_pages()


def _use_huge_pages() -> None:
    """Put what was loaded into pages of 2 MB where the kernel can (6.1): a fork copies an entry for each page.

    With numpy and sympy a bare fork takes half as long, and its end as well; what a fork writes is still copied by
    4 KB, so that sessions do not grow.
    """
    madvise = ctypes.CDLL(None).madvise
    with open("/proc/self/maps", encoding="ascii") as file:
        mappings = [line.split() for line in file]
    for addresses, access, _, _, inode, *_name in mappings:
        start, end = (int(address, 16) for address in addresses.split("-"))
        start, end = -(-start // _HUGE_BYTES) * _HUGE_BYTES, end // _HUGE_BYTES * _HUGE_BYTES
        if access == "rw-p" and inode == "0" and start < end:
            madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _COLLAPSE)
