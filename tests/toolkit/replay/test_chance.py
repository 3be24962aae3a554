import pytest

from toolkit.replay.chance import Foreseen


def reasons(*steps: str, seeded: bool = True) -> list[tuple[str, ...]]:
    foreseen = Foreseen(seeded=seeded)
    return [foreseen.step(code) for code in steps]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import time\nprint(time.time())", "clock: time.time"),
        ("import time as t\nf = t.perf_counter\nprint(f())", "clock: time.perf_counter"),
        ("from time import time\ntime()", "clock: time.time"),
        ("from time import *\nprint(monotonic())", "clock: time.monotonic"),
        ("from datetime import datetime as dt\nprint(dt.now().year)", "clock: datetime.datetime.now"),
        ("import datetime\nprint(datetime.date.today())", "clock: datetime.date.today"),
        ("print(__import__('time').time())", "clock: time.time"),
        ("import random\nprint(random.SystemRandom().random())", "entropy: random.SystemRandom"),
        ("import uuid\nprint(uuid.uuid4())", "entropy: uuid.uuid4"),
        ("print(id(3))", "address: id"),
        ("import time\ndef now():\n    return time.time()\nprint(now())", "clock: time.time"),
        ("import time\nn = 0\nwhile time.time() < 5:\n    n += 1\nprint(n)", "clock: time.time"),
        ("import time\nxs = []\nxs.append(time.time())\nprint(xs)", "clock: time.time"),
        ("import time\nxs = {}\nxs['a'] = time.time()\nprint(xs)", "clock: time.time"),
        ("import time\nassert time.time() < 5", "clock: time.time"),
        ("class A: pass\nprint({A(), A()})", "address: of objects in sets or hashed"),
        ("class A: pass\nxs = [A(), A()]\nys = set(xs)\nprint(ys)", "address: of objects in sets or hashed"),
        ("class A: pass\nprint(hash(A()))", "address: of objects in sets or hashed"),
        ("print({int, str}, 3)", "address: of objects in sets or hashed"),
        ("print(set(map(type, [1, 'a'])))", "address: of objects in sets or hashed"),
        ("print({None, 1})", "address: of objects in sets or hashed"),
    ],
)
def test_what_differs_each_time_is_foreseen_in_our_sandbox_and_elsewhere(code: str, reason: str) -> None:
    assert reasons(code) == [(reason,)]
    assert reasons(code, seeded=False) != [()]


@pytest.mark.parametrize(
    "code",
    [
        "import time\nprint(6 * 7)",
        "import time\nstart = time.time()\nprint('the sum is', 6 * 7)",
        "import time\ntime.sleep(0.1)\nprint('slept')",
        "import datetime\nprint(datetime.date(2020, 2, 29).isoformat())",
        "import uuid\nprint(uuid.uuid5(uuid.NAMESPACE_DNS, 'a'))",
        "import time\nt = time.time()\nt = 3\nprint(t)",
        "time = 4\nprint(time)",
        "import time\ntime = 4\nprint(time)",
        "now = 'time.time()'\nprint(now)",
        "this is no Python",
    ],
)
def test_what_must_come_out_equal_has_no_reason(code: str) -> None:
    assert reasons(code) == [()]
    assert reasons(code, seeded=False) == [()]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import random\nprint(random.random())", "chance: random.random"),
        ("import random\nprint(random.Random().random())", "chance: random.Random"),
        ("import numpy as np\nprint(np.random.rand(2))", "chance: numpy.random.rand"),
        ("import numpy as np\nprint(np.random.default_rng().normal())", "chance: numpy.random.default_rng"),
        ("print({'a', 'b'})", "set order: set"),
        ("print(list(set('ab')))", "set order: set"),
        ("print(frozenset(str(n) for n in range(9)))", "set order: frozenset"),
        ("print({letter for letter in 'ab'})", "set order: set"),
        ("print(hash('a'))", "set order: hash"),
    ],
)
def test_chance_and_the_order_of_sets_are_reasons_only_where_they_do_not_start_from_one_seed(
    code: str, reason: str
) -> None:
    assert reasons(code) == [()]
    assert reasons(code, seeded=False) == [(reason,)]


@pytest.mark.parametrize(
    "code",
    [
        "import random\nrandom.seed(3)\nprint(random.random())",
        "import random\nprint(random.Random(3).random())",
        "import numpy as np\nnp.random.seed(3)\nprint(np.random.rand())",
        "import numpy as np\nprint(np.random.default_rng(seed=3).normal())",
    ],
)
def test_a_seed_in_the_program_makes_chance_repeatable(code: str) -> None:
    assert reasons(code, seeded=False) == [()]


def test_variables_carry_reasons_from_step_to_step_until_they_are_assigned_again() -> None:
    steps = ["import time\nstart = time.time()", "left = 5 - start", "print(left)", "print(6 * 7)", "left = 2", "left"]
    clock = ("clock: time.time",)
    assert reasons(*steps) == [(), (), clock, (), (), ()]


def test_of_a_step_that_failed_any_statement_may_be_the_reason() -> None:
    code = "import time\nx = [1, 2][int(time.time()) % 3]"
    assert Foreseen(seeded=True).step(code) == ()
    assert Foreseen(seeded=True).step(code, failed=True) == ("clock: time.time",)


def test_what_a_step_binds_beside_a_call_without_a_result_is_not_known() -> None:
    foreseen = Foreseen(seeded=False)
    tool = ("tool: search",)
    assert foreseen.step("found = search('a')\nn = 3\nprint(n)", unanswered=["search"]) == tool
    assert [foreseen.step("print(n)"), foreseen.step("print(6 * 7)")] == [tool, ()]
