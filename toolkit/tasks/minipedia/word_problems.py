"""Word problems with large numbers, in the manner of GSM-Hard: nothing to look up, much to calculate.

Each problem has an expression for the plan and, written apart from it, the function that gives the
gold answer; the tests hold one against the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

ITEMS = (
    "apples", "bottles", "bricks", "buttons", "candles", "coins", "envelopes", "nails", "oranges", "pencils",
    "postcards", "screws", "seeds", "tiles",
)  # fmt: skip

Numbers = dict[str, int]


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of word problem."""

    texts: tuple[str, ...]
    """Wordings; letters stand for numbers, `{x}` `{y}` `{z}` for people, `{items}` for things."""
    expression: str
    """Python over the same letters."""
    quotient: Callable[[Numbers], tuple[int, int]]
    """The answer as (numerator, denominator); a denominator above 1 is rounded to two decimals."""
    small: tuple[tuple[str, int, int], ...] = ()
    """Letters whose numbers are small, with their ranges; all others are large."""
    descending: bool = False
    """Whether large numbers come in descending order, because one is taken away from another."""


PROBLEMS = (
    Problem(
        (
            "{x} packs {a} {items} a day. How many {items} does {x} pack in {k} days?",
            "A machine sorts {a} {items} an hour. How many {items} does it sort in {k} hours?",
            "Every week {a} {items} leave the harbour. How many {items} leave it in {k} weeks?",
        ),
        "{a} * {k}",
        lambda n: (n["a"] * n["k"], 1),
        (("k", 12, 95),),
    ),
    Problem(
        (
            "A shop sold {a} {items} in May, {b} in June and {c} in July. How many {items} did it sell in all?",
            "{x} has {a} {items}, {y} has {b} and {z} has {c}. How many {items} do they have together?",
        ),
        "{a} + {b} + {c}",
        lambda n: (n["a"] + n["b"] + n["c"], 1),
    ),
    Problem(
        (
            "A warehouse holds {k} crates with {a} {items} each, and {b} of the {items} are damaged. "
            "How many {items} are not damaged?",
            "{x} buys {k} boxes of {a} {items} and gives away {b} {items}. How many {items} does {x} keep?",
        ),
        "{k} * {a} - {b}",
        lambda n: (n["k"] * n["a"] - n["b"], 1),
        (("k", 12, 95),),
    ),
    Problem(
        (
            "{x} had {a} crowns, spent {b} crowns and then earned {c} crowns. How many crowns does {x} have now?",
            "A reservoir held {a} litres. First {b} litres were drained, then {c} litres flowed in. "
            "How many litres does it hold now?",
        ),
        "{a} - {b} + {c}",
        lambda n: (n["a"] - n["b"] + n["c"], 1),
        descending=True,
    ),
    Problem(
        (
            "{x} earns {a} crowns a year and saves {k} percent of them. How many crowns does {x} save in a year? "
            "Round to two decimals.",
            "Goods worth {a} crowns are sold at a loss of {k} percent. How many crowns are lost? "
            "Round to two decimals.",
        ),
        "round({a} * {k} / 100, 2)",
        lambda n: (n["a"] * n["k"], 100),
        (("k", 11, 97),),
    ),
    Problem(
        (
            "{a} {items} are packed into boxes of {k}. How many {items} are left over?",
            "{x} shares {a} {items} equally among {k} children. How many {items} are left over?",
        ),
        "{a} % {k}",
        lambda n: (n["a"] % n["k"], 1),
        (("k", 12, 95),),
    ),
    Problem(
        (
            "{a} {items} are packed into boxes that hold {k} each. How many boxes are completely filled?",
            "A coach seats {k} people. How many coaches can {a} people fill completely?",
        ),
        "{a} // {k}",
        lambda n: (n["a"] // n["k"], 1),
        (("k", 12, 95),),
    ),
    Problem(
        (
            "A theatre sold {a} tickets at {k} crowns each and paid {b} crowns in wages. How many crowns were left?",
            "{x} sells {a} {items} at {k} crowns each. The {items} cost {b} crowns in all. "
            "What is the profit in crowns?",
        ),
        "{a} * {k} - {b}",
        lambda n: (n["a"] * n["k"] - n["b"], 1),
        (("k", 12, 95),),
    ),
    Problem(
        (
            "A city of {a} inhabitants grows by {b} inhabitants every year. How many inhabitants does it have after "
            "{k} years?",
            "{x} owns {a} {items} and buys {b} more every month. How many {items} does {x} own after {k} months?",
        ),
        "{a} + {b} * {k}",
        lambda n: (n["a"] + n["b"] * n["k"], 1),
        (("k", 12, 60),),
    ),
    Problem(
        (
            "A field is {a} metres long and {k} metres wide. A pond in it covers {b} square metres. "
            "How many square metres are dry?",
        ),
        "{a} * {k} - {b}",
        lambda n: (n["a"] * n["k"] - n["b"], 1),
        (("k", 110, 950),),
    ),
    Problem(
        (
            "{x} counted {a} birds. {y} counted {b} birds more than {x}. How many birds did they count together?",
            "One mill ground {a} sacks of flour and another mill {b} sacks more. How many sacks did both grind?",
        ),
        "{a} + {a} + {b}",
        lambda n: (2 * n["a"] + n["b"], 1),
    ),
    Problem(
        (
            "{x} collected {a} stamps. {y} collected {k} times as many, and {z} collected {b} fewer than {y}. "
            "How many stamps did {z} collect?",
            "A village uses {a} litres of water a day. The town uses {k} times as much, but saves {b} litres "
            "of that. How many litres a day does the town use now?",
        ),
        "{a} * {k} - {b}",
        lambda n: (n["a"] * n["k"] - n["b"], 1),
        (("k", 12, 95),),
    ),
    Problem(
        (
            "{x} borrows {a} crowns, owes {b} crowns of interest on top, and pays everything back in {k} equal "
            "instalments. How many crowns is one instalment? Round to two decimals.",
            "A bill of {a} crowns and a tax of {b} crowns are split equally among {k} partners. "
            "How many crowns does each pay? Round to two decimals.",
        ),
        "round(({a} + {b}) / {k}, 2)",
        lambda n: (n["a"] + n["b"], n["k"]),
        (("k", 12, 95),),
    ),
    Problem(
        (
            "Over three years a museum had {a}, {b} and {c} visitors. What was the yearly average? "
            "Round to two decimals.",
            "Three ships carry {a}, {b} and {c} tonnes. How many tonnes do they carry on average? "
            "Round to two decimals.",
        ),
        "round(({a} + {b} + {c}) / 3, 2)",
        lambda n: (n["a"] + n["b"] + n["c"], 3),
    ),
    Problem(
        (
            "{x} swims {k} lengths a day. A length is {a} centimetres. How many centimetres does {x} swim in {m} days?",
            "A press prints {a} pages an hour and runs {k} hours a week. How many pages does it print in {m} weeks?",
        ),
        "{a} * {k} * {m}",
        lambda n: (n["a"] * n["k"] * n["m"], 1),
        (("k", 12, 80), ("m", 12, 95)),
    ),
    Problem(
        (
            "A farm sold {a} {items} for {k} crowns each, but {b} {items} were sent back and paid back in full. "
            "How many crowns did the farm keep?",
            "Of {a} guests invited, {b} stay away. Each guest who comes is given {k} {items}. "
            "How many {items} are given away?",
        ),
        "({a} - {b}) * {k}",
        lambda n: ((n["a"] - n["b"]) * n["k"], 1),
        (("k", 12, 95),),
        descending=True,
    ),
)
