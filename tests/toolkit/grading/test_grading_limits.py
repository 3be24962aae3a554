"""What one pair may take, and what an import may load."""

import subprocess
import sys

import pytest

from toolkit.grading.limits import EXIT_MEMORY, EXIT_TIME

LIMITS = """
from toolkit.grading.limits import MEMORY_BYTES, bounded, limit_process

limit_process()
with bounded({seconds}):
    {action}
print("alive")
"""


@pytest.mark.parametrize(
    ("action", "seconds", "status"),
    [
        ("held = bytearray(MEMORY_BYTES // 8)", 60, 0),
        ("held = bytearray(2 * MEMORY_BYTES)", 60, EXIT_MEMORY),
        ("bytes(b'x' * (MEMORY_BYTES * 3 // 4))", 60, EXIT_MEMORY),  # freed again, as if sympy had caught it
        ("10 ** 10 ** 9", 1, EXIT_TIME),
    ],
)
def test_a_process_ends_when_a_pair_takes_too_much(action: str, seconds: int, status: int) -> None:
    program = LIMITS.format(action=action, seconds=seconds)
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
