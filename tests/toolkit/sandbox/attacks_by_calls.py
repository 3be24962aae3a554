"""Attacks that are one system call or a few, by their numbers on x86_64, past every library."""

# A line of these tables is easier to read long than broken.
# ruff: noqa: E501

from __future__ import annotations

from attacks import Attack

_CALLS = {
    "processes": {
        "fork": "lambda: os.fork(), lambda: syscall(57)",
        "vfork": "lambda: syscall(58)",
        "clone with other flags than a fork's": "*(lambda f=f: syscall(56, f, 0, 0, 0, 0) for f in (17, 0x11 | 1 << 15, "
        "0x01200011, 0x8011 | 1 << 31, 0x8011 | 1 << 28, 0x8011 | 1 << 32, 0x8000, 0x8111, 0x8211))",
        "clone of a thread": "lambda: syscall(56, 0x3D0F00, 0, 0, 0, 0)",
        "clone3": "lambda: syscall(435, struct.pack('=11Q', 0, 0, 0, 0, 17, *[0] * 6), 88)",
        "clone3 into a cgroup": "lambda: syscall(435, struct.pack('=11Q', 1 << 33, 0, 0, 0, 17, *[0] * 6), 88)",
        "execve": "lambda: os.execv('/proc/self/exe', ['x']), lambda: os.execv(sys.executable, ['x', '-V'])",
        "execveat": "lambda: syscall(322, -100, os.fsencode(sys.executable), 0, 0, 0)",
        "a program in memory": "lambda: syscall(319, b'x', 0), lambda: syscall(447, 0)",
        "ptrace": "lambda: syscall(101, 0, 0, 0, 0), lambda: syscall(101, 16, os.getppid(), 0, 0)",
        "memory of other processes": "*(lambda n=n: syscall(n, p, 0, 0, 0, 0, 0) for n in (310, 311) "
        "for p in (1, os.getppid(), os.getpid()))",
        "handles of other processes": "lambda: syscall(434, os.getppid(), 0), lambda: syscall(438, 0, 3, 0)",
        "madvise and release of other processes": "lambda: syscall(440, 0, 0, 0, 0, 0), lambda: syscall(448, 0, 0)",
        "comparing processes": "lambda: syscall(312, os.getpid(), os.getppid(), 0, 0, 0)",
        "leaving the process group": "lambda: os.setpgid(0, 0), lambda: os.setpgid(0, os.getppid())",
        "leaving the process session": "lambda: os.setsid()",
        "limits of other processes": "lambda: syscall(302, os.getppid(), 7, 0, 0), lambda: syscall(302, 1, 7, 0, 0)",
        "scheduling of others": "lambda: os.sched_setaffinity(os.getppid(), {0}), "
        "lambda: os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0)), lambda: syscall(251, 1, 0, 0)",
        "priorities": "lambda: os.setpriority(os.PRIO_PROCESS, 0, 5), lambda: os.nice(-5)",
        "the list of locks of another process": "lambda: syscall(274, os.getppid(), bytes(8), bytes(8))",
    },
    "signals": {
        "kill the parent, init, everyone, the own group": "*(lambda p=p: os.kill(p, 0) for p in (os.getppid(), 1, -1, 0))",
        "kill a neighbour": "lambda: os.kill($NEIGHBOUR, 9)",
        "tkill and tgkill": "lambda: syscall(200, 1, 0), lambda: syscall(234, os.getppid(), os.getppid(), 0)",
        "rt_sigqueueinfo": "lambda: syscall(129, os.getppid(), 9, bytes(128)), "
        "lambda: syscall(297, os.getppid(), os.getppid(), 9, bytes(128))",
        "signals by a handle": "lambda: syscall(424, 3, 9, 0, 0)",
        "timers that signal": "lambda: syscall(37, 1), lambda: syscall(38, 0, bytes(32), 0), "
        "lambda: syscall(222, 0, 0, bytes(8)), lambda: syscall(283, 0, 0)",
        "a descriptor that signals others": "*(lambda c=c: syscall(72, 3, c, p) for c in (8, 10, 15) "
        "for p in (os.getppid(), -os.getppid(), 1))",
        "a descriptor that signals others, by ioctl": "lambda: syscall(16, 3, 0x8901, struct.pack('i', os.getppid())), "
        "lambda: syscall(16, 3, 0x5452, struct.pack('i', 1))",
        "leases and notes on directories": "lambda: syscall(72, 3, 1024, 1), lambda: syscall(72, 3, 1026, 1)",
        "typing into a terminal": "lambda: syscall(16, 0, 0x5412, b'x'), lambda: syscall(16, 0, 0x541C, b'x')",
        "bits above the command of an ioctl or fcntl": "lambda: syscall(16, 3, 1 << 32 | 0x8901, bytes(4)), "
        "lambda: syscall(72, 3, 1 << 32 | 8, os.getppid())",
    },
    "network": {
        "sockets of every family": "*(lambda f=f, t=t: socket.socket(f, t) for f in range(46) for t in (1, 2, 3, 5))",
        "socket pairs": "lambda: socket.socketpair()",
        "the host's TCP port": "lambda: socket.create_connection(('127.0.0.1', $PORT), 1)",
        "the host's abstract socket": "lambda: socket.socket(socket.AF_UNIX).connect($ABSTRACT)",
        "connect, bind, listen, accept on the channel": "*(lambda n=n: syscall(n, 3, bytes(16), 16) for n in (42, 49, "
        "50, 43, 288))",
        "options of the channel's socket": "lambda: syscall(54, 3, 1, 8, bytes(4), 4), "
        "lambda: syscall(55, 3, 1, 17, bytes(16), bytes(8))",
        "sendto, recvfrom, sendmmsg": "*(lambda n=n: syscall(n, 3, bytes(8), 0, 0, 0, 0) for n in (44, 45, 307, 299))",
        "shutting the channel down": "lambda: syscall(48, 3, 2)",
    },
    "kernel interfaces": {
        "new namespaces": "*(lambda f=f: syscall(272, f) for f in (1 << 28, 1 << 17, 1 << 29, 1 << 30, 1 << 10, 1 << 9))",
        "other namespaces": "lambda: syscall(308, 3, 0)",
        "mounts": "lambda: syscall(165, b'x', b'/tmp', b'tmpfs', 0, 0), lambda: syscall(166, b'/proc', 2), "
        "*(lambda n=n: syscall(n, 0, 0, 0, 0, 0) for n in (428, 429, 430, 431, 432, 433, 442, 155))",
        "another root or directory": "lambda: os.chroot('/'), lambda: os.chdir('/'), lambda: os.fchdir(3)",
        "prctl": "*(lambda o=o: syscall(157, o, 1, 0, 0, 0) for o in (1, 4, 15, 22, 23, 28, 36, 38, 47, 59))",
        "a second seccomp filter": "lambda: syscall(317, 0, 0, 0), lambda: syscall(317, 1, 8, 0), lambda: syscall(317, 2)",
        "a second Landlock": "lambda: syscall(444, 0, 0, 1), lambda: syscall(445, 0, 1, 0, 0), lambda: syscall(446, 0, 0)",
        "capabilities": "lambda: syscall(126, struct.pack('=Ii', 0x20080522, 0), b'\\xff' * 24), lambda: syscall(125, 0, 0)",
        "another user": "lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([]), "
        "lambda: os.setresuid(0, 0, 0)",
        "keys": "lambda: syscall(250, 0, -3, 1), lambda: syscall(248, b'user', b'x', b'y', 1, -3), lambda: syscall(249, 0)",
        "bpf": "lambda: syscall(321, 0, bytes(64), 64)",
        "perf_event_open": "lambda: syscall(298, bytes(128), 0, -1, -1, 0)",
        "userfaultfd": "lambda: syscall(323, 0), lambda: syscall(323, 1)",
        "io_uring": "lambda: syscall(425, 1, bytes(120)), lambda: syscall(426, 0, 0, 0, 0), lambda: syscall(427, 0, 0, 0, 0)",
        "asynchronous io": "lambda: syscall(206, 1, bytes(8))",
        "file handles": "lambda: syscall(303, -100, b'/', bytes(16), bytes(4), 0), lambda: syscall(304, 3, bytes(16), 0)",
        "watching files": "lambda: syscall(294, 0), lambda: syscall(300, 0, 0)",
        "System V memory, queues, semaphores": "lambda: syscall(29, 1, 1, 0o1777), lambda: syscall(68, 1, 0o1777), "
        "lambda: syscall(64, 1, 1, 0o1777)",
        "POSIX queues": "lambda: syscall(240, b'x', 0o102, 0o777, 0)",
        "event and signal descriptors, epoll": "lambda: syscall(290, 0, 0), lambda: syscall(289, -1, bytes(8), 8, 0), "
        "lambda: syscall(291, 0)",
        "personality": "lambda: syscall(135, 0x0040000), lambda: syscall(135, 0xFFFFFFFF)",
        "clocks and host name": "lambda: syscall(227, 0, bytes(16)), lambda: syscall(164, 0, 0), "
        "lambda: syscall(159, bytes(208)), lambda: syscall(170, b'x', 1)",
        "modules, kexec, reboot, swap, accounting": "*(lambda n=n: syscall(n, 0, 0, 0, 0) for n in (175, 313, 246, 320, "
        "169, 167, 163, 179))",
        "ports and segments": "lambda: syscall(172, 3), lambda: syscall(173, 0, 1, 1), lambda: syscall(154, 0, 0, 0)",
        "the kernel's log": "lambda: syscall(103, 3, bytes(64), 64)",
        "locked and moved memory": "lambda: syscall(149, 0, 1), lambda: syscall(151, 1), lambda: syscall(279, 0, 0, 0, 0, 0), "
        "lambda: syscall(256, 1, 0, 0, 0)",
        "splices and zero copies": "*(lambda n=n: syscall(n, 3, 0, 0, 0, 1, 0) for n in (40, 275, 276, 278, 326))",
        "limits raised": "*(lambda n=n, k=k: syscall(n, *([0] if n == 302 else []), k, struct.pack('QQ', 1 << 40, 1 << 40), 0) "
        "for n in (160, 302) for k in (1, 4, 7, 9))",
        "a later system call than any known": "*(lambda n=n: syscall(n, 0, 0, 0, 0, 0, 0) for n in range(456, 600))",
        "shared memory, which forks would share": "lambda: __import__('mmap').mmap(-1, 4096), "
        "lambda: syscall(9, 0, 4096, 3, 0x21, -1, 0), lambda: syscall(9, 0, 4096, 3, 0x23, -1, 0)",
    },
    "file system": {
        "making, linking, renaming, removing": "lambda: os.mkdir('d'), lambda: os.symlink('/', 'l'), "
        "lambda: os.link('$CANARY', 'l'), lambda: os.rename('$CANARY', 'l'), lambda: os.unlink('$CANARY'), "
        "lambda: os.rmdir('$PLACE'), lambda: os.mkfifo('f'), lambda: os.mknod('n')",
        "modes, owners, times, attributes": "lambda: os.chmod('$CANARY', 0o777), lambda: os.chown('$CANARY', 1, 1), "
        "lambda: os.utime('$CANARY'), lambda: os.setxattr('$CANARY', 'user.x', b''), lambda: os.listxattr('/'), "
        "lambda: os.truncate('$CANARY', 0)",
        "locks": "lambda: __import__('fcntl').flock(1, 2), lambda: syscall(72, 1, 6, bytes(32))",
        "old ways to open": "lambda: syscall(85, b'$PLACE/new', 0o777), lambda: syscall(437, -100, b'/', bytes(24), 24)",
        "free space, syncing": "lambda: os.statvfs('/'), lambda: syscall(306, 3), lambda: syscall(74, 1)",
    },
}  # fmt: skip

_MACHINE_CODE = """
import mmap
memory = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=7)
memory.write(bytes.fromhex('$CODE'))
x = 'after'
got = ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))()
print('got through:', got)
"""


def _machine_code(name: str, code: str) -> Attack:
    return Attack(name, "kernel interfaces", _MACHINE_CODE.replace("$CODE", code), "sandbox")


CALLS = [
    *(
        Attack(name, area, f"{'unreachable' if area == 'file system' else 'refused'}({attempts})")
        for area, attempts_by_name in _CALLS.items()
        for name, attempts in attempts_by_name.items()
    ),
    # getpid by int 0x80, and by the number of the x32 table: both would miss a filter for x86_64 only.
    _machine_code("the 32-bit table of system calls", "b814000000cd80c3"),
    _machine_code("the x32 table of system calls", "b8270000400f05c3"),
]
