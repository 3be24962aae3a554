"""Equal code gives equal output: every source of chance that code commonly uses starts from one seed.

Covers `random`, generators made without a seed by `random.Random()` and `numpy.random.default_rng()`, numpy's
global state and sympy's numeric checks; the hash seed is fixed by the environment. Not covered: clocks,
`os.urandom`, and the order of sets of objects that hash by address.
"""

from __future__ import annotations

import random
import sys
from typing import Any


def seed_everything(seed: int) -> None:
    """Start `random`, numpy and sympy, as far as they are loaded, from `seed`."""
    entropy = random.Random(seed)
    _seed_random(entropy)
    random.seed(seed)
    if "numpy.random" in sys.modules:
        _loaded("numpy.random").seed(seed)
        _loaded("numpy.random.bit_generator").randbits = entropy.getrandbits
    if "sympy.core.random" in sys.modules:
        _loaded("sympy.core.random").seed(seed)


def _loaded(name: str) -> Any:
    return sys.modules[name]


def _seed_random(entropy: random.Random) -> None:
    original = random.Random.seed

    def seed(self: random.Random, a: Any = None, version: int = 2) -> None:
        original(self, entropy.getrandbits(64) if a is None else a, version)

    def reseed(a: Any = None, version: int = 2) -> None:
        seed(random._inst, a, version)

    random.Random.seed = seed  # type: ignore[method-assign]
    random.seed = reseed
