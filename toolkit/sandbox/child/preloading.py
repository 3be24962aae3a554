"""What every session starts with: libraries imported, caches warm, objects at the same addresses every time."""

from __future__ import annotations

import bisect
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
_ALIGNMENT, _SMALL_OBJECT = 16, 512
"""Python's own allocator has a list of free blocks for each size, in bytes."""


def settle_addresses() -> None:
    """Start this program again with addresses that do not differ from start to start, if the kernel allows it.

    The order of a set of objects, which hash by their addresses, is then the same in every session of a worker, and in
    its forks. Nothing is lost by it: what runs here may read its own memory anyway.
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
    _fill_gaps()
    _use_huge_pages()


def _fill_gaps() -> None:
    """Use up the free blocks between the objects that were loaded, for good: new objects come to lie beside each other.

    Otherwise forks, and the zygote itself, would write to pages all over what was loaded, and get copies of them.
    """
    mappings = _writable_memory()
    starts = [start for start, _ in mappings]
    allocate = ctypes.pythonapi.PyObject_Malloc
    allocate.restype = ctypes.c_size_t
    for size in range(_ALIGNMENT, _SMALL_OBJECT + 1, _ALIGNMENT):
        while True:
            address = allocate(ctypes.c_size_t(size))
            place = bisect.bisect(starts, address) - 1
            if place < 0 or address >= mappings[place][1]:
                break


def _use_huge_pages() -> None:
    """Put what was loaded into pages of 2 MB where the kernel can (6.1): a fork copies an entry for each page.

    With numpy and sympy a bare fork takes half as long, and its end as well; what a fork writes is still copied by
    4 KB, so that sessions do not grow.
    """
    madvise = ctypes.CDLL(None).madvise
    for start, end in _writable_memory():
        start, end = -(-start // _HUGE_BYTES) * _HUGE_BYTES, end // _HUGE_BYTES * _HUGE_BYTES
        if start < end:
            madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _COLLAPSE)


def _writable_memory() -> list[tuple[int, int]]:
    """Where memory that is no file's begins and ends, in ascending order."""
    with open("/proc/self/maps", encoding="ascii") as file:
        mappings = [line.split() for line in file]
    return [
        (int(start, 16), int(end, 16))
        for (start, end), access, inode in ((m[0].split("-"), m[1], m[4]) for m in mappings)
        if access == "rw-p" and inode == "0"
    ]
