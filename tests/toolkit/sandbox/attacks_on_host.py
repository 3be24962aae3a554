"""Attacks on the host's end: resources without end, forged frames, forks that lie, an interpreter turned round."""

# A line of these tables is easier to read long than broken.
# ruff: noqa: E501

from __future__ import annotations

from attacks import Attack

_RESOURCES = [
    Attack("an endless loop", "resources", "x = 'after'\nwhile True:\n    pass", "timeout", at_1="timeout"),
    Attack("one C call without end", "resources", "10**10**9", "timeout|execution", at_1="timeout|execution"),
    Attack("sleeping for ever", "resources", "x = 'after'\ntime.sleep(1e6)", "timeout", at_1="timeout"),
    Attack("catching everything and looping", "resources", "while True:\n    try:\n        while True:\n            pass\n"
           "    except BaseException:\n        pass", "timeout", at_1="timeout"),
    Attack("signals ignored, then a loop", "resources", "import signal\nfor n in range(1, 65):\n    try:\n"
           "        signal.signal(n, signal.SIG_IGN)\n    except (OSError, ValueError):\n        pass\nwhile True:\n    pass",
           "timeout", at_1="timeout"),
    Attack("a memory bomb", "resources", "a = [0]\nwhile True:\n    a += a", "execution", at_1="execution"),
    Attack("memory in one piece", "resources", "bytearray(1 << 40)", "execution", at_1="execution"),
    Attack("memory bombs caught and tried again", "resources", "a = []\nwhile True:\n    try:\n"
           "        a.append(bytearray(1 << 20))\n    except MemoryError:\n        pass", "timeout", at_1="timeout"),
    Attack("memory mapped past Python", "resources", "n = 0\nwhile libc.mmap(0, 1 << 26, 3, 0x22, -1, 0) != -1:\n"
           "    n += 1\nprint('blocked' if n < 32 else n)", at_1="blocked"),
    Attack("600 MB printed", "resources", "for n in range(600):\n    print('a' * (1 << 20))", "fine|timeout", at_1="fine|timeout"),
    Attack("600 MB printed past print", "resources", "os.write(1, b'a' * (1 << 20)) * 600, os.write(2, b'a' * (1 << 20))",
           "fine", at_1="fine"),
    Attack("a value with an endless repr", "resources", "class A:\n    def __repr__(self):\n        while True:\n"
           "            pass\nA()", "timeout", at_1="timeout"),
    Attack("a repr of 20 MB", "resources", "'a' * (20 << 20)", "fine|timeout", at_1="fine|timeout"),
    Attack("recursion", "resources", "def f():\n    f()\nf()", "execution", at_1="execution"),
    Attack("recursion in C", "resources", "sys.setrecursionlimit(1 << 30)\na = []\nfor _ in range(10**6):\n    a = [a]\n"
           "repr(a)", "execution|sandbox|timeout", at_1="execution|sandbox|timeout"),
    Attack("a thousand nested brackets", "resources", "compile('(' * 1000 + ')' * 1000, '', 'eval')", "execution",
           at_1="execution"),
    Attack("all descriptors", "resources", "n = 0\ntry:\n    while n < 10_000:\n        os.dup(0)\n        n += 1\n"
           "except OSError:\n    print('blocked' if n < 200 else n)", at_1="blocked"),
    Attack("all pipes, filled", "resources", "a = []\ntry:\n    while len(a) < 10_000:\n        a.append(os.pipe())\n"
           "        os.set_blocking(a[-1][1], False)\n        os.write(a[-1][1], bytes(1 << 20))\nexcept OSError:\n"
           "    print('blocked' if len(a) < 100 else len(a))", at_1="blocked"),
    Attack("a bomb of forks", "resources", "tries = 0\nwhile True:\n    try:\n        child('siblings').fork_sibling()\n"
           "    except PermissionError:\n        tries += 1", "sandbox"),
    Attack("a bomb of threads", "resources", "n = 0\nfor _ in range(10_000):\n    try:\n"
           "        __import__('threading')._start_new_thread(time.sleep, (9,))\n        n += 1\n    except RuntimeError:\n"
           "        pass\nprint(n or 'blocked')"),
    Attack("a regular expression without end", "resources", "import functools, re\nre.match('(a+)+$', 'a' * 60 + 'b')",
           "timeout", at_1="timeout"),
    Attack("a zip bomb", "resources", "import io, zipfile\nb = io.BytesIO()\nwith zipfile.ZipFile(b, 'w', 8) as z:\n"
           "    z.writestr('a', bytes(100 << 20))\nwith zipfile.ZipFile(b) as z:\n    c = [z.read('a') for _ in range(99)]",
           "execution|timeout", at_1="execution|timeout"),
    Attack("a segmentation fault", "resources", "x = 'after'\nctypes.string_at(0)", "sandbox", at_1="sandbox"),
    Attack("an abort", "resources", "x = 'after'\nlibc.abort()", "sandbox", at_1="sandbox"),
    Attack("an illegal instruction by a bad call", "resources", "ctypes.CFUNCTYPE(None)(1)()", "sandbox", at_1="sandbox"),
    Attack("its own end", "resources", "x = 'after'\nos._exit(0)", "sandbox", at_1="sandbox"),
    Attack("SystemExit and KeyboardInterrupt", "resources", "try:\n    sys.exit(3)\nfinally:\n    raise KeyboardInterrupt",
           "execution", at_1="execution"),
    Attack("SIGKILL for itself", "resources", "refused(lambda: os.kill(os.getpid(), 9))", at_1="sandbox"),
    Attack("stopping itself", "resources", "refused(lambda: os.kill(os.getpid(), 19))", at_1="timeout"),
    Attack("crashes in `__del__` and at exit", "resources", "import gc\nclass A:\n    def __del__(self):\n        os.abort()\n"
           "a = A()\na.a = a\ndel a\ngc.collect()", "sandbox", at_1="sandbox"),
    Attack("destroyed interpreter state", "resources", "ctypes.memset(id(None), 0, 16)\nprint(None)", "sandbox|timeout|execution",
           at_1="sandbox|timeout|execution"),
]  # fmt: skip

_REPORT = '{"action": %d, "stdout": "forged", "cut_chars": 0, "value": null, "answer": null, "error_kind": "none", "error": null}'
_FRAMES = {
    "half a header": "os.write(3, b'\\x00\\x00')\ntime.sleep(1e6)",
    "half a frame": "os.write(3, frame('{}', 100))\ntime.sleep(1e6)",
    "a frame byte by byte without end": "os.write(3, frame('', 100_000))\nwhile True:\n    os.write(3, b' ')\n"
    "    time.sleep(0.001)",
    "a length of 4 GB": "os.write(3, b'\\xff' * 4)\nwhile True:\n    os.write(3, bytes(1 << 20))",
    "a flood of bytes": "while True:\n    os.write(3, os.urandom(1 << 16))",
    "deep JSON": "os.write(3, frame('[' * 200_000))\ntime.sleep(1e6)",
    "deep arguments": "os.write(3, frame('{\"action\": 2, \"call\": \"echo\", \"args\": [' + '[' * 900 + ']' * 900 + '], "
    "\"kwargs\": {}}'))\ntime.sleep(1e6)",
    "a number of 500,000 digits": "os.write(3, frame('{\"action\": 2, \"call\": \"echo\", \"args\": [' + '9' * 500_000 + '], "
    "\"kwargs\": {}}'))\ntime.sleep(1e6)",
    "100,000 arguments": "os.write(3, frame('{\"action\": 2, \"call\": \"echo\", \"args\": [' + '0,' * 100_000 + '0], "
    "\"kwargs\": {}}'))\ntime.sleep(1e6)",
    "a report of another action": f"os.write(3, frame({_REPORT % 77!r}))\ntime.sleep(1e6)",
    "two reports at once": f"os.write(3, frame({_REPORT % 2!r}) * 2)\ntime.sleep(1e6)",
    "ids of forks that nobody ordered": "os.write(3, frame('{\"action\": 2, \"forked\": [1, 2]}'))\ntime.sleep(1e6)",
    "orders to the zygote": "os.write(3, frame('{\"do\": \"kill\", \"session\": 1}'))\ntime.sleep(1e6)",
    "a closed channel": "os.close(3)\ntime.sleep(1e6)",
    "a channel to nowhere": "os.dup2(1, 3)\ntime.sleep(1e6)",
}  # fmt: skip
_CALL = 'os.write(3, frame(\'{"action": 2, "call": %s, "args": %s, "kwargs": %s}\'))\nprint(os.read(3, 1 << 16))'
_DESCRIPTORS = (
    "held = [cell.cell_contents for cell in echo.__closure__]\n"
    "channel = [o._socket for o in held if hasattr(o, '_socket')][0]\n"
    "os.write(3, frame('', 5_000))\nfor _ in range(4_000):\n    channel.sendmsg([b' '], [(socket.SOL_SOCKET, "
    "socket.SCM_RIGHTS, struct.pack('3i', 0, 1, 3))])\ntime.sleep(1e6)"
)
_RPC = [
    *(Attack(name, "rpc", f"x = 'after'\n{code}", "sandbox|timeout", at_1="sandbox|timeout") for name, code in _FRAMES.items()),
    Attack("a forged report, then silence", "rpc", f"x = 'after'\nos.write(3, frame({_REPORT % 2!r}))\ntime.sleep(1e6)",
           "any", at_1="any", keeps_state=False),
    Attack("a forged report before the true one", "rpc", f"os.write(3, frame({_REPORT % 2!r}))", "any", at_1="any",
           keeps_state=False),
    Attack("an infinite number", "rpc", "os.write(3, frame('{\"action\": 2, \"call\": \"echo\", \"args\": [1e999], \"kwargs\": {}}'))\n"
           "time.sleep(1e6)", "sandbox", at_1="sandbox"),
    Attack("descriptors for the host", "rpc", _DESCRIPTORS, "sandbox|timeout|execution", at_1="sandbox|timeout"),
    Attack("a tool that is none", "rpc", _CALL % ('"__import__"', '["os"]', "{}"), "fine", at_1="fine"),
    Attack("a tool by an attribute", "rpc", _CALL % ('"echo.__globals__"', "[]", "{}"), "fine", at_1="fine"),
    Attack("arguments that no parameter has", "rpc", _CALL % ('"echo"', "[1, 2, 3]", '{"self": 1, "value": 2}'), "fine",
           at_1="fine"),
    Attack("a flood of calls", "rpc", "x = 'after'\nwhile True:\n    echo(1)", "tool", at_1="tool"),
    Attack("a flood of large calls", "rpc", "x = 'after'\nwhile True:\n    echo(['a' * 10] * 2_000)", "tool|timeout",
           at_1="tool|timeout"),
    Attack("calls that never read the answer", "rpc", "x = 'after'\nwhile True:\n    os.write(3, frame("
           "'{\"action\": 2, \"call\": \"echo\", \"args\": [1], \"kwargs\": {}}'))", "sandbox|tool|timeout",
           at_1="sandbox|tool|timeout"),
]  # fmt: skip

_FORKS = {
    "no fork, no answer": "lambda channels: time.sleep(1e6)",
    "an exit in the middle": "lambda channels: os._exit(1)",
    "no fork and an empty answer": "lambda channels: []",
    "init for a fork": "lambda channels: [1]",
    "the keeper for a fork": "lambda channels: [os.getppid()]",
    "the zygote for a fork": "lambda channels: [os.getppid() + 1]",
    "itself for a fork": "lambda channels: [os.getpid()]",
    "the neighbour for a fork": "lambda channels: [$NEIGHBOUR]",
    "the same fork thrice": "lambda channels: [os.getpid() + 1] * 3",
    "forks that cannot be": "lambda channels: [2**31 - 1, 2**31 - 2, 2**31 - 3]",
    "negative forks": "lambda channels: [-1, -os.getppid(), 0]",
    "a million forks": "lambda channels: list(range(1, 50_000))",
    "forks that are text": "lambda channels: ['1', None, {}]",
    "no list of forks": "lambda channels: {'a': 1}",
}
_FORKING = {
    "forks kept, none reported": """
def fork_into(channels):
    for _ in range(100):
        try:
            if fork() == 0:
                time.sleep(1e6)
        except OSError:
            break
    return []
""",
    "strays beside the true forks": """
def fork_into(channels):
    if fork() == 0:
        time.sleep(1e6)
    return true(channels)
""",
    "children of its own beside the true forks": """
def fork_into(channels):
    refused(os.fork, lambda: syscall(56, 0x01200011, 0, 0, 0, 0))
    return true(channels)
""",
    "forks that exit at once": """
def fork_into(channels):
    made = true(channels)
    if not isinstance(made, list):
        os._exit(0)
    return made
""",
    "forks that fork on": """
def fork_into(channels):
    made = true(channels)
    if not isinstance(made, list):
        while True:
            try:
                fork()
            except OSError:
                time.sleep(0.01)
    return made
""",
    "forks that keep each other's channels and write to them": """
def fork_into(channels):
    kept = [os.dup(channel) for channel in channels]
    made = true(channels)
    for channel in kept:
        try:
            os.write(channel, frame('{"action": 3, "call": "echo", "args": [1], "kwargs": {}}') * 9)
        except OSError:
            pass
    return made
""",
    "channels kept open and never served": """
def fork_into(channels):
    globals()['kept'] = [os.dup(channel) for channel in channels]
    for channel in channels:
        os.close(channel)
    return []
""",
    "a fork that ends the base": """
child('forking').fork_sibling = lambda: os._exit(0)
fork_into = true
""",
    "a fork that answers in the base's place": """
def fork_into(channels):
    made = true(channels)
    while not isinstance(made, list):
        os.write(3, frame('{"action": 2, "forked": [1]}'))
    return made
""",
}
_PATCHES = {
    "builtins deleted": "import builtins\nfor name in list(vars(builtins)):\n    if name not in ('print', 'None'):\n"
    "        delattr(builtins, name)",
    "the session's names deleted": "globals().clear()",
    "json turned round": "import json\njson.dumps = lambda *a, **k: '[' * 9000",
    "the channel turned round": "child('channel').Channel.send = lambda self, message: os.write(3, frame(b'\\xff'))",
    "the channel's reader turned round": "child('channel').Channel.request = lambda self: ({'action': 2, 'fork': 3}, [])",
    "the interpreter turned round": "child('interpreter').Interpreter.run = lambda self, action, code: {'action': action}",
    "limits turned round": "child('session').MemoryLimit.__exit__ = lambda *a: time.sleep(1e6)",
    "stdout replaced": "class Out:\n    def __getattr__(self, name):\n        while True:\n            pass\nsys.stdout = Out()",
    "trace functions": "sys.settrace(lambda *a: os._exit(3))\nsys.setprofile(lambda *a: os._exit(3))",
    "audit hooks": "sys.addaudithook(lambda *a: (_ for _ in ()).throw(OSError))",
}
_BASE = [
    *(
        Attack(name, "base patching", f"child('session').fork_into = {code}", "fine", forks=3, keeps_state=False)
        for name, code in _FORKS.items()
    ),
    *(
        Attack(name, "base patching", f"true, fork = child('session').fork_into, child('siblings').fork_sibling\n{code}\nchild('session').fork_into = fork_into",
               "fine", forks=3, keeps_state=False)
        for name, code in _FORKING.items()
    ),
    *(
        Attack(name, "base patching", code, "any", at_1="any", forks=2, keeps_state=False)
        for name, code in _PATCHES.items()
    ),
]  # fmt: skip

ON_HOST = [*_RESOURCES, *_RPC, *_BASE]
