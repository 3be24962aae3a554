"""A disk that fills up in mid-write: a clear message, and the lake as it was before.

The small disk is a real one: a tmpfs of some hundred kilobytes, mounted in a user namespace
of its own. Where namespaces are not allowed, a limit on the size of files stands in.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).parent
_FILL = f"""
import errno, os, resource, signal, sys
from pathlib import Path
sys.path.insert(0, {str(_HERE)!r})
from lake_rows import rollout
from toolkit.errors import LakeError
from toolkit.lake.check import check
from toolkit.lake.compaction import compact
from toolkit.lake.lake import open_lake
root, how = Path(sys.argv[1]), sys.argv[2]
if how == "tmpfs":
    import ctypes
    mounted = ctypes.CDLL(None, use_errno=True).mount(b"none", bytes(root), b"tmpfs", 0, b"size=1500k")
    assert mounted == 0, os.strerror(ctypes.get_errno())
else:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
lake = open_lake(root / "lake", create=True)

def write(name, size):
    with lake.write(f"batch {{name}}") as batch:
        batch.add(rollout(name, mark=os.urandom(size // 2).hex()))

def assert_intact(number):
    fresh = open_lake(root / "lake")
    assert fresh.snapshot().number == number
    assert fresh.snapshot().rows("trajectories") == number
    left = [(path.name, [inner.name for inner in path.iterdir()]) for path in fresh.layout.segments.iterdir()]
    assert len(left) == number, left
    assert fresh.sql("SELECT count(*) FROM steps").fetchall() == [(2 * number,)]
    assert check(fresh) == []

for number in range(3):
    write(number, 1_000)
refused = 0
for size in (4_000_000, 2_000_000, 100_000, 1_500_000, 30_000, 3_000_000, 10):
    try:
        write(f"large {{size}}", size)
        number += 1
    except LakeError as error:
        refused += 1
        text = str(error)
        words = {{"tmpfs": "No space left on device", "limit": "File too large"}}[how]
        assert words in text, text
        assert "lake" in text and str(root) in text, text
    assert_intact(number + 1)
assert refused > 1
if how == "tmpfs":
    filler = root / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                assert file.write(bytes(1024))
        except OSError as error:
            assert error.errno == errno.ENOSPC
    for attempt in range(3):
        try:
            write("nothing fits", 10)
        except LakeError as error:
            assert "No space left on device" in str(error), error
        else:
            raise AssertionError("the disk was full")
        assert_intact(number + 1)
    try:
        compact(lake)
    except LakeError as error:
        assert "No space left on device" in str(error), error
    else:
        raise AssertionError("the disk was full")
    assert_intact(number + 1)
    filler.unlink()
    write("after", 1_000)
    assert_intact(number + 2)
print("intact after", refused, "refusals")
"""


def test_a_full_disk_is_named_and_nothing_committed_is_lost(tmp_path: Path) -> None:
    namespaces = ["unshare", "--user", "--map-root-user", "--mount"]
    allowed = subprocess.run([*namespaces, "true"], check=False, capture_output=True).returncode == 0
    confined, how = (namespaces, "tmpfs") if allowed else ([], "limit")
    command = [*confined, sys.executable, "-c", _FILL, str(tmp_path), how]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("intact after")
