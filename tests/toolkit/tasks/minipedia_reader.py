"""An interpreter of plans that knows nothing but a corpus: what a plan says must be found there by reading."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

_OPERATORS: dict[type[ast.operator], Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_FUNCTIONS: dict[str, Any] = {"round": round, "abs": abs}


def calculate(expression: str) -> float:
    """The value of an expression of numbers, operators, `round` and `abs`."""
    return _value(ast.parse(expression, mode="eval").body)


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=int() as number):
            return number
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATORS[type(op)](_value(left), _value(right))
        case ast.Call(func=ast.Name(id=name), args=args):
            return _FUNCTIONS[name](*map(_value, args))
    raise AssertionError(f"a plan must not contain {ast.dump(node)}")


def execute(plan: Mapping[str, Any], corpus: Mapping[str, str], question: str) -> str:
    """The answer of a plan, found in `corpus` (title to text); asserts that every step can be taken."""
    results: list[str] = []
    for operation in plan["operations"]:
        match operation["op"]:
            case "lookup":
                result = _look_up(operation, corpus, results, question)
            case "compute":
                result = _plain(calculate(_fill(operation["expression"], results)))
            case "compare":
                values = [int(_fill(value, results)) for value in operation["values"]]
                labels = [_fill(label, results) for label in operation["labels"]]
                assert len(set(values)) == len(values), "equal values cannot be compared"
                result = labels[values.index({"max": max, "min": min}[operation["choose"]](values))]
        assert result == operation["answer"]
        results.append(result)
    return results[-1]


def _look_up(operation: Mapping[str, Any], corpus: Mapping[str, str], results: list[str], question: str) -> str:
    subject = _fill(operation["subject"], results)
    assert operation["title"] == subject
    # A query may use names only if they stand in the question; others come in by reference.
    for word in re.findall(r"\b[A-Z]\w*", operation["query"]):
        assert re.search(rf"\b{word}\b", question), f"{word} in {operation['query']!r} is not known yet"
    assert subject in _fill(operation["query"], results)
    assert subject in _fill(operation["question"], results)
    sentence, value = operation["sentence"], operation["answer"]
    assert sentence in corpus[subject]
    assert re.search(rf"(?<!\w){re.escape(value)}(?!\w)", sentence), f"{value} is not in {sentence!r}"
    return str(value)


def _fill(text: str, results: list[str]) -> str:
    return re.sub(r"#(\d+)", lambda match: results[int(match[1]) - 1], text)


def _plain(number: float) -> str:
    return str(int(number)) if Fraction(number).denominator == 1 else str(number)
