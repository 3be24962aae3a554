"""What one pair may take, and what an import may load."""

import subprocess
import sys

import pytest

from toolkit.grading.limits import EXIT_MEMORY, EXIT_TIME

LIMITS = """
from toolkit.grading.limits import MEMORY_BYTES, bounded, limit_process

limit_process()
with bounded(60):
    {}
print("alive")
"""


@pytest.mark.parametrize(
    ("action", "status"),
    [
        ("held = bytearray(MEMORY_BYTES // 8)", 0),
        ("held = bytearray(2 * MEMORY_BYTES)", EXIT_MEMORY),
        ("bytes(b'x' * (MEMORY_BYTES * 3 // 4))", EXIT_MEMORY),  # freed again, as if sympy had caught the MemoryError
        ("10 ** 10 ** 9", EXIT_TIME),
    ],
)
def test_a_process_ends_when_a_pair_takes_too_much(action: str, status: int) -> None:
    program = LIMITS.format(action).replace("bounded(60)", "bounded(1)")
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == status
    assert run.stdout == ("" if status else "alive\n")


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = (
        "import sys, toolkit.grading, toolkit.grading.answers; "
        "print({'sympy', 'math_verify', 'pebble', 'latex2sympy2_extended'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_the_grader_itself_never_loads_sympy_in_the_parent() -> None:
    program = "import sys, toolkit.grading.grader; print('sympy' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
