"""Thirty actions as agents write them, each with the text that it must print.

They are run in this order in one session: two of them go on from what earlier ones left behind. All results are
printed, because plain `exec` shows no values. Chance, clocks and addresses stay out, so that the texts are the same
everywhere. Not covered: tools, errors and what must not be possible; the sandbox's own tests are about those.
"""

from __future__ import annotations

from textwrap import dedent
from typing import NamedTuple


class Action(NamedTuple):
    """Code, and what it prints."""

    name: str
    code: str
    prints: str


LOOP = "loop of 1e6"
"""The action whose time is compared as a ratio."""
_WRITTEN = {
    "arithmetic": (
        """
        principal, rate = 2500, 0.045
        balance = principal * (1 + rate / 12) ** 36
        print(round(balance, 2), 17 // 5, -17 % 5, 2**100, divmod(1234, 60))
        """,
        "2860.62 3 3 1267650600228229401496703205376 (20, 34)",
    ),
    "comprehensions": (
        """
        rows = [[i * j for j in range(1, 5)] for i in range(1, 4)]
        flat = {n: [d for d in range(1, n + 1) if n % d == 0] for row in rows for n in row if n % 3 == 0}
        print(rows, flat, sum(x * x for x in range(10)))
        """,
        "[[1, 2, 3, 4], [2, 4, 6, 8], [3, 6, 9, 12]] "
        "{3: [1, 3], 6: [1, 2, 3, 6], 9: [1, 3, 9], 12: [1, 2, 3, 4, 6, 12]} 285",
    ),
    "generator function": (
        """
        def primes():
            found = []
            n = 2
            while True:
                if all(n % p for p in found):
                    found.append(n)
                    yield n
                n += 1

        stream = primes()
        print([next(stream) for _ in range(8)])
        """,
        "[2, 3, 5, 7, 11, 13, 17, 19]",
    ),
    "match": (
        """
        def area(shape):
            match shape:
                case {"kind": "square", "side": side}:
                    return side**2
                case ("rectangle", width, height):
                    return width * height
                case _:
                    return None

        print(area({"kind": "square", "side": 3}), area(("rectangle", 2, 5)), area("circle"))
        """,
        "9 10 None",
    ),
    "nonlocal": (
        """
        def account(balance):
            def deposit(amount):
                nonlocal balance
                balance += amount
                return balance
            return deposit

        deposit = account(100)
        deposit(20)
        print(deposit(5))
        """,
        "125",
    ),
    "closures": (
        """
        def scaled(factor):
            return lambda values: [factor * value for value in values]

        double, triple = scaled(2), scaled(3)
        print(double(triple([1, 2, 3])))
        """,
        "[6, 12, 18]",
    ),
    "super()": (
        """
        class Animal:
            def __init__(self, name):
                self.name = name

            def describe(self):
                return f"{self.name} is an animal"

        class Dog(Animal):
            def __init__(self, name, breed):
                super().__init__(name)
                self.breed = breed

            def describe(self):
                return super().describe() + f" of breed {self.breed}"

        print(Dog("Rex", "collie").describe())
        """,
        "Rex is an animal of breed collie",
    ),
    "@property": (
        """
        class Celsius:
            def __init__(self, degrees):
                self.degrees = degrees

            @property
            def fahrenheit(self):
                return self.degrees * 9 / 5 + 32

        print(Celsius(25).fahrenheit)
        """,
        "77.0",
    ),
    "dataclass": (
        """
        from dataclasses import dataclass, field

        @dataclass(order=True)
        class Item:
            price: float
            name: str = field(compare=False)

        items = sorted([Item(3.5, "pen"), Item(1.25, "clip"), Item(12.0, "book")], reverse=True)
        print(items[0], [item.name for item in items])
        """,
        "Item(price=12.0, name='book') ['book', 'pen', 'clip']",
    ),
    "f-strings": (
        """
        name, share, count = "Ada", 0.12345, 1234567
        print(f"{name:>8}|{share:.1%}|{count:,}|{count:#x}|{name!r}|{3 * 7 = }")
        """,
        "     Ada|12.3%|1,234,567|0x12d687|'Ada'|3 * 7 = 21",
    ),
    "regex": (
        r"""
        import re
        text = "Founded in 1889, rebuilt 1944-46; see https://example.org/a?b=1 or mail info@example.org"
        print(re.findall(r"\b\d{4}\b", text), re.search(r"(\w+)@([\w.]+)", text).groups(),
              re.sub(r"https?://\S+", "<link>", text)[:50])
        """,
        "['1889', '1944'] ('info', 'example.org') Founded in 1889, rebuilt 1944-46; see <link> or ma",
    ),
    "json": (
        """
        import json
        data = json.loads('{"people": [{"name": "Ann", "age": 41}, {"name": "Bo", "age": null}]}')
        data["count"] = len(data["people"])
        print(json.dumps(data, sort_keys=True), data["people"][1]["age"] is None)
        """,
        '{"count": 2, "people": [{"age": 41, "name": "Ann"}, {"age": null, "name": "Bo"}]} True',
    ),
    "datetime": (
        """
        from datetime import date, datetime, timedelta
        landing = datetime.fromisoformat("1969-07-20T20:17:40")
        print((date(2000, 3, 1) - date(2000, 2, 1)).days, landing.strftime("%A %d %B"),
              landing + timedelta(hours=21, minutes=36))
        """,
        "29 Sunday 20 July 1969-07-21 17:53:40",
    ),
    "collections": (
        """
        from collections import Counter, defaultdict, deque
        words = "the cat saw the dog and the dog saw the cat".split()
        places = defaultdict(list)
        for place, word in enumerate(words):
            places[word].append(place)
        last = deque(words, maxlen=2)
        print(Counter(words).most_common(2), places["dog"], list(last))
        """,
        "[('the', 4), ('cat', 2)] [4, 7] ['the', 'cat']",
    ),
    "itertools": (
        """
        import itertools
        ticks = itertools.count(5, 5)
        first = next(ticks)
        pairs = ["".join(pair) for pair in itertools.combinations("abcd", 2)]
        groups = {key: len(list(group)) for key, group in itertools.groupby("aaabbc")}
        print(first, pairs, groups, list(itertools.accumulate([1, 2, 3, 4])))
        """,
        "5 ['ab', 'ac', 'ad', 'bc', 'bd', 'cd'] {'a': 3, 'b': 2, 'c': 1} [1, 3, 6, 10]",
    ),
    "Fraction and Decimal": (
        """
        from decimal import Decimal, getcontext
        from fractions import Fraction
        getcontext().prec = 30
        print(Fraction(1, 3) + Fraction(1, 6), Decimal("0.1") + Decimal("0.2"), Decimal(2).sqrt())
        """,
        "1/2 0.3 1.41421356237309504880168872421",
    ),
    "numpy": (
        """
        import numpy as np
        a = np.array([[3.0, 2.0, -1.0], [2.0, -2.0, 4.0], [-1.0, 0.5, -1.0]])
        x = np.linalg.solve(a, np.array([1.0, -2.0, 0.0]))
        print(np.round(x, 6).tolist(), round(float(np.linalg.det(a)), 6), (a @ a.T).shape)
        """,
        "[1.0, -2.0, -2.0] -3.0 (3, 3)",
    ),
    "sympy": (
        """
        import sympy as sp
        x = sp.symbols("x")
        print(sp.solve(x**2 - 5 * x + 6, x), sp.integrate(x * sp.exp(x), x), sp.factor(x**3 - 1))
        """,
        "[2, 3] (x - 1)*exp(x) (x - 1)*(x**2 + x + 1)",
    ),
    "strings": (
        """
        sentence = "  Was it a car or a cat I saw?  "
        letters = "".join(c.lower() for c in sentence if c.isalpha())
        print(letters == letters[::-1], sentence.strip().title(), sentence.split()[-1].rstrip("?").center(9, "*"))
        """,
        "True Was It A Car Or A Cat I Saw? ***saw***",
    ),
    "try, except, finally": (
        """
        steps = []
        for text in ("12", "x", "0"):
            try:
                steps.append(60 // int(text))
            except ValueError as error:
                steps.append(str(error))
            except ZeroDivisionError:
                steps.append("zero")
            else:
                steps.append("fine")
            finally:
                steps.append("|")
        print(steps)
        """,
        "[5, 'fine', '|', \"invalid literal for int() with base 10: 'x'\", '|', 'zero', '|']",
    ),
    "recursion": (
        """
        def hanoi(n, source, target, spare):
            if n == 0:
                return []
            return (hanoi(n - 1, source, spare, target) + [(source, target)]
                    + hanoi(n - 1, spare, target, source))

        moves = hanoi(7, "A", "C", "B")
        print(len(moves), moves[:3])
        """,
        "127 [('A', 'C'), ('A', 'B'), ('C', 'B')]",
    ),
    "sorting": (
        """
        cities = [("Oslo", 709), ("Bergen", 291), ("Rome", 2749), ("Turin", 841), ("Bari", 316)]
        by_name = sorted(cities, key=lambda city: (len(city[0]), city[0]))
        cities.sort(key=lambda city: -city[1])
        print([name for name, _ in by_name], cities[0], max(cities, key=lambda city: city[0]))
        """,
        "['Bari', 'Oslo', 'Rome', 'Turin', 'Bergen'] ('Rome', 2749) ('Turin', 841)",
    ),
    LOOP: (
        """
        total = 0
        for i in range(1_000_000):
            total += i % 7
        print(total)
        """,
        "2999997",
    ),
    "state for later": (
        """
        scores = {"ann": [3, 4], "bo": [5]}

        def mean(name):
            return sum(scores[name]) / len(scores[name])

        print(mean("ann"))
        """,
        "3.5",
    ),
    "state from before": (
        """
        scores["ann"].append(8)
        print(mean("ann"), next(ticks), next(ticks))
        """,
        "5.0 10 15",
    ),
    "walrus": (
        """
        lines = iter(["a=1", "b = 22", "", "c=3"])
        found = {}
        while line := next(lines):
            found[parts[0].strip()] = int((parts := line.split("="))[1])
        print(found, [half for n in range(10) if (half := n // 2) > 3])
        """,
        "{'a': 1, 'b': 22} [4, 4]",
    ),
    "sets and dicts": (
        """
        one, two = {1, 2, 3, 4}, {3, 4, 5}
        merged = {"a": 1, "b": 2} | {"b": 3, "c": 4}
        head, *rest = sorted(one ^ two)
        print(one & two, head, rest, {value: key for key, value in merged.items()}, {3, 4} <= one)
        """,
        "{3, 4} 1 [2, 5] {1: 'a', 3: 'b', 4: 'c'} True",
    ),
    "heap": (
        """
        import heapq
        import math
        roads = {"a": {"b": 4, "c": 1}, "b": {"d": 1}, "c": {"b": 2, "d": 5}, "d": {}}
        best, heap = {}, [(0, "a")]
        while heap:
            length, node = heapq.heappop(heap)
            if node not in best:
                best[node] = length
                for other, road in roads[node].items():
                    heapq.heappush(heap, (length + road, other))
        print(best, best.get("z", math.inf))
        """,
        "{'a': 0, 'c': 1, 'b': 3, 'd': 4} inf",
    ),
    "decorators": (
        """
        from functools import lru_cache, wraps
        calls = []

        def noted(function):
            @wraps(function)
            def wrapper(*args, **kwargs):
                calls.append((function.__name__, args))
                return function(*args, **kwargs)
            return wrapper

        @noted
        def power(base, exponent=2):
            return base**exponent

        @lru_cache(maxsize=None)
        def fibonacci(n):
            return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

        print(power(3), power(2, exponent=5), calls, power.__name__, fibonacci(60))
        """,
        "9 32 [('power', (3,)), ('power', (2,))] power 1548008755920",
    ),
    "context managers": (
        """
        from contextlib import suppress
        marks = []

        class Tag:
            def __init__(self, name):
                self.name = name

            def __enter__(self):
                marks.append(f"<{self.name}>")
                return self

            def __exit__(self, kind, error, traceback):
                marks.append(f"</{self.name}>")
                return False

        with suppress(KeyError), Tag("a"), Tag("b"):
            marks.append({}["missing"])
        print("".join(marks))
        """,
        "<a><b></b></a>",
    ),
}
ACTIONS = tuple(Action(name, dedent(code).strip(), prints + "\n") for name, (code, prints) in _WRITTEN.items())
