"""The system calls that a session may make, compiled by libseccomp into a filter.

An allow-list: what is not named fails with EPERM, as does every new call of a future kernel. Names that a machine does
not have (`open` on arm64) are skipped by libseccomp. `fork` alone is asked for: the kernel stops the caller and puts
the question to the keeper (`child/gate.py`), which lets exactly those forks through that the host has ordered.
Not covered: which files are read (Landlock), how much memory is used (resource limits).
"""

from __future__ import annotations

import errno
import fcntl
import io
import tempfile
from functools import cache
from typing import Any

from toolkit.errors import how_to_install
from toolkit.sandbox.child.confinement import UNDUMPABLE
from toolkit.sandbox.child.siblings import FLAGS, PARENT_DEATH

MEMORY = "brk mprotect munmap mremap madvise"
FILES = """
    open openat read pread64 readv close lseek stat lstat fstat newfstatat statx access faccessat faccessat2
    readlink readlinkat getdents getdents64 getcwd dup dup2 dup3
"""
CHANNEL = "write writev recvmsg pipe pipe2 poll ppoll"
TIME = "clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time times getrusage"
SELF = """
    getpid gettid getppid getpgrp getuid geteuid getgid getegid getgroups uname sysinfo getrandom
    sched_yield sched_getaffinity getrlimit setrlimit
"""
SIGNALS = "rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack restart_syscall"
THREAD = "futex futex_wait futex_wake set_robust_list get_robust_list set_tid_address rseq"
END = "exit exit_group wait4 waitid"
ALLOWED = tuple(" ".join((MEMORY, FILES, CHANNEL, TIME, SELF, SIGNALS, THREAD, END)).split())

_MAP_TYPE, _MAP_PRIVATE = 0xF, 2
"""Memory that is not private would stay shared between a session and its forks."""
_TERMINAL = 0x5401
"""TCGETS: Python asks every file that it opens whether it is a terminal."""
_DESCRIPTOR = tuple(
    getattr(fcntl, f"F_{name}") for name in ("DUPFD", "DUPFD_CLOEXEC", "GETFD", "SETFD", "GETFL", "SETFL")
)
"""What `fcntl` may do; F_SETOWN, for one, would send signals to other processes."""


class FilterError(Exception):
    """There is no libseccomp to make the filter with; the message says what to install."""


@cache
def session_filter() -> bytes:
    """The filter of every session, as the kernel's BPF program.

    Raises:
        FilterError: the binding or the library is missing, or too old to ask about forks.
    """
    seccomp = _binding()
    try:
        rules = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
        for name in ALLOWED:
            rules.add_rule(seccomp.ALLOW, name)
        rules.add_rule(seccomp.ALLOW, "mmap", seccomp.Arg(3, seccomp.MASKED_EQ, _MAP_TYPE, _MAP_PRIVATE))
        rules.add_rule(seccomp.ALLOW, "ioctl", seccomp.Arg(1, seccomp.EQ, _TERMINAL))
        rules.add_rule(seccomp.ALLOW, "prlimit64", seccomp.Arg(0, seccomp.EQ, 0))  # its own limits only
        for command in _DESCRIPTOR:
            rules.add_rule(seccomp.ALLOW, "fcntl", seccomp.Arg(1, seccomp.EQ, command))
        rules.add_rule(seccomp.NOTIFY, "clone", seccomp.Arg(0, seccomp.EQ, FLAGS))
        for option, value in (PARENT_DEATH, UNDUMPABLE):
            rules.add_rule(
                seccomp.ALLOW, "prctl", seccomp.Arg(0, seccomp.EQ, option), seccomp.Arg(1, seccomp.EQ, value)
            )
        # Its arguments lie in memory where no filter sees them; the C library then takes `clone`.
        rules.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")
        with tempfile.TemporaryFile() as file:
            rules.export_bpf(file)
            file.seek(0, io.SEEK_SET)
            return file.read()
    except OSError as error:
        raise FilterError(f"libseccomp refuses the filter ({error}); version 2.5 or newer is needed") from error


@cache
def numbers(*names: str) -> dict[str, int]:
    """The numbers of system calls on this machine.

    Raises:
        FilterError: the binding or the library is missing.
    """
    seccomp = _binding()
    arch = seccomp.system_arch()
    return {name: seccomp.resolve_syscall(arch, name) for name in names}


def _binding() -> Any:
    try:
        import pyseccomp
    except ImportError as error:
        raise FilterError(f"pyseccomp is missing: {how_to_install('sandbox')}") from error
    except (OSError, RuntimeError) as error:
        raise FilterError(f"libseccomp is missing ({error}): apt-get install libseccomp2") from error
    return pyseccomp
