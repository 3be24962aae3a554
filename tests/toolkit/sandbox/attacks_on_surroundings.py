"""Attacks on what lies around a session: files, the environment, other processes by ordinary Python."""

# A line of these tables is easier to read long than broken.
# ruff: noqa: E501

from __future__ import annotations

from attacks import Attack

_OUTSIDE = """
paths = ['$CANARY', '$PLACE', '/etc/passwd', '/etc/shadow', '/root', '/home', '/tmp', '/', '/proc', '/sys', '/dev/zero',
         '/dev/tty', '/dev/shm', '/proc/self/status', '/proc/1/status', '/var/log', '/run']
unreachable(*(lambda p=p: os.listdir(p) if os.path.isdir(p) else open(p).read(99) for p in paths))
"""
_WRITING = """
import json
library = os.path.dirname(json.__file__)
paths = ['$CANARY', '$PLACE/new', 'new', '/new', '/tmp/new', '/dev/shm/new', '/proc/self/comm', '/dev/null', '/dev/full',
         f'{library}/new.py', f'{library}/__init__.py', f'{library}/__pycache__/new.pyc', child('session').__file__,
         sys.executable, '/proc/sys/kernel/core_pattern', '/proc/self/oom_score_adj', '/sys/kernel/mm/ksm/run']
flags = (os.O_WRONLY | os.O_CREAT, os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND, os.O_RDONLY | os.O_TRUNC)
attempts = [lambda p=p, f=f: os.open(p, f) for p in paths for f in flags]
temporary = [lambda d=d: os.open(d, os.O_TMPFILE | os.O_RDWR) for d in ('.', '/tmp', library, '$PLACE')]
refused(*attempts, *temporary, by=PLACES | {errno.EISDIR, errno.EOPNOTSUPP, errno.ETXTBSY})
"""
_TRAVERSAL = """
import json
library = os.path.dirname(json.__file__)
canary = '$CANARY'
up = '/'.join(['..'] * 20)
unreachable(
    lambda: open(f'{library}/{up}{canary}').read(),
    lambda: open(f'{up}{canary}').read(),
    lambda: open(f'/proc/self/root{canary}').read(),
    lambda: open(f'/proc/self/cwd/{up}{canary}').read(),
    lambda: open(f'/proc/{os.getppid()}/root{canary}').read(),
    lambda: open(f'/proc/1/root{canary}').read(),
    lambda: open(f'/proc/thread-self/root{canary}').read(),
    lambda: os.open(canary, os.O_PATH) and open(canary).read(),
    lambda: syscall(437, -100, canary.encode(), bytes(24), 24),
)
"""
_PROC = """
names = ['mem', 'environ', 'maps', 'fd/3', 'fd/0', 'fd/1', 'cmdline', 'stack', 'syscall', 'attr/current', 'oom_score_adj',
         'clear_refs', 'pagemap', 'auxv', 'task', 'timerslack_ns', 'setgroups', 'uid_map', 'limits']
owners = ['self', str(os.getppid()), '1', '2', str($NEIGHBOUR)]
attempts = [lambda p=f'/proc/{o}/{n}', f=f: os.open(p, f) for o in owners for n in names for f in (os.O_RDONLY, os.O_RDWR)]
links = [lambda p=f'/proc/{o}/{n}': os.readlink(p) for o in owners[1:] for n in ('exe', 'cwd', 'root', 'fd/0', 'fd/3')]
refused(*attempts, *links, by=PLACES | {errno.EISDIR, errno.ENXIO})
"""
_SECRET = """
wanted = ''.join($HALVES)
found = []
def look(where, text):
    text = text.encode('utf-8', 'replace') if isinstance(text, str) else text
    if wanted.encode() in text and text != wanted.encode():
        found.append(where)
look('os.environ', str(dict(os.environ)))
look('sys', str([sys.argv, sys.orig_argv, sys.path, sys.flags]))
strings = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), 'environ')
number = 0
while strings[number] is not None:
    look('environ', strings[number])
    number += 1
for descriptor in (0, 1, 2):
    try:
        look(f'descriptor {descriptor}', os.pread(descriptor, 1 << 20, 0) + os.read(descriptor, 1 << 20))
    except OSError:
        pass
for path in [f'/proc/{o}/{n}' for o in ('self', '1', os.getppid()) for n in ('environ', 'cmdline')] + ['/etc/environment']:
    try:
        with open(path, 'rb') as file:
            look(path, file.read())
    except OSError:
        pass
print('got through:' if found else 'blocked', *found)
"""
_PIPES = """
unreachable(*(lambda n=n, f=f: os.open(f'/proc/self/fd/{n}', f) for n in range(3) for f in (os.O_RDONLY, os.O_RDWR)))
"""
_SUBPROCESS = """
import subprocess
refused(*(lambda c=c: subprocess.run(c, capture_output=True) for c in (['true'], ['/bin/sh', '-c', 'true'], [sys.executable])),
        lambda: os.posix_spawn('/bin/true', ['true'], {}), lambda: os.popen('true').read())
if os.system('exit 7') == 7 << 8:
    print('got through: system')
"""
_THREADS = """
import threading
def attempt(start):
    try:
        return start()
    except RuntimeError as error:
        raise PermissionError(errno.EPERM, str(error))
refused(lambda: attempt(threading.Thread(target=print).start), lambda: attempt(lambda: threading._start_new_thread(print, ())))
"""
_ORPHANED = """
import numpy, sympy
try:
    sympy.sympify("__import__('os').kill(__import__('os').getppid(), 0)")
    print('got through')
except Exception as error:
    print('blocked' if 'not permitted' in str(error) or 'SympifyError' in type(error).__name__ else error)
"""
_NUMPY = """
import numpy
unreachable(
    lambda: numpy.fromfile('$CANARY', dtype='u1').tobytes(),
    lambda: numpy.memmap('$CANARY', mode='r').tobytes(),
    lambda: numpy.loadtxt('$CANARY', dtype=str),
    lambda: numpy.genfromtxt('$CANARY', dtype=str),
    lambda: numpy.load('$CANARY', allow_pickle=True),
    lambda: numpy.save('$PLACE/new', numpy.zeros(3)),
    lambda: numpy.zeros(3).tofile('$PLACE/new'),
)
"""
_PICKLE = """
import pickle
unreachable(lambda: pickle.loads(b'cos\\nkill\\n(I1\\nI0\\ntR.'), lambda: pickle.loads(b'cio\\nopen\\n(V$CANARY\\ntR.').read())
"""
_CTYPESLIB = """
try:
    ctypes.CDLL('$CANARY')
    print('got through')
except OSError as error:
    print('blocked')
"""
_IMPORTS = """
import importlib.util
def load(path):
    spec = importlib.util.spec_from_file_location('m', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
sys.path.append('$PLACE')
sys.path_importer_cache.clear()
try:
    importlib.import_module('canary_module')
    print('got through')
except ModuleNotFoundError:
    unreachable(lambda: load('$PLACE/canary_module.py'))
"""

ON_SURROUNDINGS = [
    Attack("files outside", "file system", _OUTSIDE),
    Attack("writing anywhere, libraries and caches of bytecode too", "file system", _WRITING),
    Attack("traversal, links of /proc, handles without rights", "file system", _TRAVERSAL),
    Attack("everything in /proc that is somebody's", "file system", _PROC),
    Attack("the pipes and devices behind 0, 1 and 2", "file system", _PIPES),
    Attack("numpy's own ways to files", "file system", _NUMPY),
    Attack("pickles that act", "file system", _PICKLE),
    Attack("a shared library of the host's", "file system", _CTYPESLIB),
    Attack("importing from a directory of the host", "file system", _IMPORTS),
    Attack("a secret of the host's environment", "environment", _SECRET, at_1=None),
    Attack("the host's variables by name", "environment", "print('blocked' if not [n for n in os.environ if 'CANARY' in n "
           "or 'TOKEN' in n or 'KEY' in n] else dict(os.environ))", at_1="blocked"),
    Attack("variables stay in the session", "environment", "os.environ['LD_PRELOAD'] = '/x'\nos.putenv('A', 'b')", "fine",
           at_1="fine"),
    Attack("programs", "processes", _SUBPROCESS),
    Attack("threads", "processes", _THREADS),
    Attack("sympify evaluates Python", "processes", _ORPHANED),
    Attack("os through other modules", "processes", "import random, collections\n"
           "refused(lambda: random._os.fork(), lambda: collections._sys.modules['posix'].fork(), "
           "lambda: print.__self__.__import__('os').fork())"),
    Attack("waiting for others", "processes", "try:\n    print(os.waitpid($NEIGHBOUR, 0))\nexcept ChildProcessError:\n"
           "    print('blocked')"),
    Attack("names and addresses", "network", "try:\n    print(socket.getaddrinfo('host.invalid', 80))\nexcept OSError:\n"
           "    print('blocked')"),
    Attack("urllib", "network", "import urllib.request\ntry:\n    urllib.request.urlopen('http://127.0.0.1:$PORT', "
           "timeout=1)\n    print('got through')\nexcept OSError as error:\n"
           "    print('blocked' if 'not permitted' in str(error) else error)"),
]  # fmt: skip
