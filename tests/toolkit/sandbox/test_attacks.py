"""Every attack of the table is contained at every level that this machine has."""

from __future__ import annotations

import asyncio
import importlib.util
import platform
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from arena import Arena
from attacks import LIBRARIES, Attack, table

from toolkit.sandbox import Limits, probe

if platform.machine() != "x86_64":
    pytest.skip("the table holds the numbers of x86_64's system calls", allow_module_level=True)
if any(importlib.util.find_spec(library) is None for library in LIBRARIES):
    pytest.skip("numpy and sympy are not installed", allow_module_level=True)

LIMITS = Limits(step_timeout_s=1.0, memory_mb=200)
LEVELS = (3, 2, 1)
Arenas = Callable[[int, Attack], str]


@pytest.fixture(scope="module")
def arenas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arenas]:
    """The arena of a level, made when it is first asked for."""
    made: dict[int, Arena] = {}
    with asyncio.Runner() as runner:

        def perform(level: int, attack: Attack) -> str:
            if level > probe().level:
                pytest.skip(f"level {level} cannot be had here: {probe().missing[level]}")
            if level not in made:
                made[level] = Arena(level, tmp_path_factory.mktemp(f"level-{level}"), LIMITS, LIBRARIES)
                runner.run(made[level].enter())
            return runner.run(made[level].attack(attack))

        yield perform
        for arena in made.values():
            runner.run(arena.leave())


@pytest.mark.parametrize(
    ("level", "attack"),
    [
        pytest.param(level, attack, id=f"{level}-{attack.area}-{attack.name}")
        for level in LEVELS
        for attack in table()
        if level > 1 or attack.at_1 is not None
    ],
)
def test_an_attack_harms_nobody_else(arenas: Arenas, level: int, attack: Attack) -> None:
    assert arenas(level, attack) == ""


def test_the_documented_numbers_of_attacks_are_those_of_the_table() -> None:
    attacks = table()
    everywhere = Counter(attack.area for attack in attacks)
    harmless = Counter(attack.area for attack in attacks if attack.at_1 is not None)
    rows = [f"| {area} | {number} | {number} | {harmless[area]} |" for area, number in sorted(everywhere.items())]
    rows.append(f"| all | {len(attacks)} | {len(attacks)} | {harmless.total()} |")
    assert "\n".join(rows) in (Path(__file__).parents[3] / "docs" / "security.md").read_text()
