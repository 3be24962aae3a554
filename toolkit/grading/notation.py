r"""Python and sympy notation as LaTeX: `3*sqrt(13)`, `Matrix([[1], [2]])`, `Interval.open(0, 9)`, `{1, -2}`.

Idea: an agent's answer is often the printed form of a Python object. The text is parsed by `ast`
and translated node by node from a closed list; nothing is evaluated, and `sympify`, which would
evaluate it, never sees it.
Invariant: a text that is not entirely in the list comes back as None, never half translated.
Not covered: boolean combinations (`(x > 2) & (x < 5)`), symbols with assumptions, numpy's printed arrays.
"""

from __future__ import annotations

import ast
import math
import re
import warnings

_CALLS = {
    **{name: f"\\{name}" for name in ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "exp")},
    **{name: f"\\{name}" for name in ("arcsin", "arccos", "arctan")},
    **{"asin": "\\arcsin", "acos": "\\arccos", "atan": "\\arctan", "log": "\\ln", "ln": "\\ln"},
}
_NAMES = {
    **{"pi": "\\pi", "oo": "\\infty", "inf": "\\infty", "I": "i", "E": "e", "EmptySet": "\\emptyset"},
    **{name: f"\\{name}" for name in ("alpha", "beta", "theta", "phi", "lambda", "mu", "omega", "sigma", "rho")},
}
_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "\\cdot ", ast.UAdd: "+", ast.USub: "-",
    ast.Eq: "=", ast.Lt: "<", ast.LtE: "\\le ", ast.Gt: ">", ast.GtE: "\\ge ",
}  # fmt: skip
_BARE = frozenset({"Fraction", "Rational", "Integer", "Float", "int", "float", "float64", "int64", "Decimal"})
_BRACKETS = {"Interval": ("[", "]"), "open": ("(", ")"), "Lopen": ("(", "]"), "Ropen": ("[", ")")}
_NOT_PYTHON = re.compile(r"\\|[0-9]_|_[0-9]|[0-9],[0-9]{3}(?![0-9])")
"""LaTeX; subscripts of digits, which Python reads as one number; thousands separators, which it reads as a tuple."""
_MODULE = re.compile(r"\b(?:np|numpy|sp|sympy|math|fractions|decimal)\.(?=[A-Za-z])")


class _Foreign(Exception):
    """The text holds something that is not in the list."""


def python_to_latex(text: str, *, lists_as: str = "set") -> str | None:
    r"""LaTeX for a Python or sympy expression. None: the text is none, or holds something that is not listed.

    `lists_as` says what a list stands for: `set`, `interval` (if it has two items) or `vector` (a column; tuples too).
    """
    if _NOT_PYTHON.search(text):
        return None
    source = _MODULE.sub("", text.strip().replace("^", "**"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the parser comments on odd literals; they are not our user's code
            body = ast.parse(source, mode="eval").body
        return _Translation(lists_as).whole(body)
    except (_Foreign, SyntaxError, ValueError, MemoryError, RecursionError):
        return None


class _Translation:
    """One translation; methods return LaTeX that may stand in any place where an operand may."""

    def __init__(self, lists_as: str) -> None:
        self._lists_as = lists_as

    def whole(self, node: ast.expr) -> str:
        """LaTeX of the whole text; `1, 2` without parentheses stays a bare list."""
        if isinstance(node, ast.Tuple) and node.elts and node.col_offset == node.elts[0].col_offset:
            return self._series(node.elts)
        return self.of(node)

    def of(self, node: ast.AST) -> str:
        """LaTeX of one node."""
        match node:
            case ast.Constant(value=bool() | None):
                raise _Foreign
            case ast.Constant(value=int() | float() | str() as value):
                return self._constant(value)
            case ast.Constant(value=complex() as value):
                return f"{_plain(value.imag)}i"
            case ast.Name(id=name):
                return _name(name)
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
                return f"{_OPERATORS[type(op)]}{self._operand(operand)}"
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(left, op, right)
            case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in _OPERATORS for op in ops):
                pairs = zip(ops, others, strict=True)
                return self.of(left) + "".join(f"{_OPERATORS[type(op)]}{self.of(other)}" for op, other in pairs)
            case ast.Tuple(elts=items) if self._lists_as != "vector":
                return f"({self._series(items)})"
            case ast.Set(elts=items):
                return f"\\{{{self._series(items)}\\}}"
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return self._list(items)
            case ast.Dict(keys=[ast.expr() as key], values=[value]):
                return f"{self.of(key)}={self.of(value)}"
            case ast.Call(func=function, args=arguments, keywords=[]):
                return self._call(function, arguments)
        raise _Foreign

    def _constant(self, value: float | str) -> str:
        if isinstance(value, str):
            if not re.fullmatch(r"-?[0-9]+(?:\.[0-9]+)?", value):
                raise _Foreign
            return value
        return _plain(value)

    def _operand(self, node: ast.AST) -> str:
        """LaTeX of a node, in parentheses unless it is atomic."""
        latex = self.of(node)
        return latex if isinstance(node, ast.Constant | ast.Name | ast.Call) else f"({latex})"

    def _series(self, items: list[ast.expr]) -> str:
        return ", ".join(self.of(item) for item in items)

    def _binary(self, left: ast.expr, op: ast.operator, right: ast.expr) -> str:
        match op:
            case ast.Div():
                return f"\\frac{{{self.of(left)}}}{{{self.of(right)}}}"
            case ast.Pow():
                return f"{{{self._operand(left)}}}^{{{self.of(right)}}}"
            case ast.Add():
                return f"{self.of(left)}+{self.of(right)}"
            case ast.Sub():
                minuend = self.of(left)
                is_sum = isinstance(right, ast.BinOp) and isinstance(right.op, ast.Add | ast.Sub)
                return f"{minuend}-{self._operand(right) if is_sum else self._term(right)}"
            case ast.Mult():
                return f"{self._term(left)}\\cdot {self._term(right)}"
        raise _Foreign

    def _term(self, node: ast.expr) -> str:
        """LaTeX of a factor: a sum or a signed number goes into parentheses, a product or power does not."""
        is_product = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Pow | ast.Div)
        return self.of(node) if is_product else self._operand(node)

    def _list(self, items: list[ast.expr]) -> str:
        if self._lists_as == "interval" and len(items) == 2:
            return f"[{self._series(items)}]"
        if items and all(isinstance(item, ast.List) for item in items):
            rows = [[self.of(cell) for cell in item.elts] for item in items if isinstance(item, ast.List)]
            return _matrix(rows)
        if self._lists_as == "vector":
            return _matrix([[self.of(item)] for item in items])
        return self.of(items[0]) if len(items) == 1 else f"\\{{{self._series(items)}\\}}"

    def _call(self, function: ast.expr, arguments: list[ast.expr]) -> str:
        match function, arguments:
            case ast.Name(id="sqrt"), [radicand]:
                return f"\\sqrt{{{self.of(radicand)}}}"
            case ast.Name(id="cbrt"), [radicand]:
                return f"\\sqrt[3]{{{self.of(radicand)}}}"
            case ast.Name(id="Abs" | "abs"), [inner]:
                return f"|{self.of(inner)}|"
            case ast.Name(id="factorial"), [inner]:
                return f"({self.of(inner)})!"
            case ast.Name(id="binomial" | "comb"), [top, bottom]:
                return f"\\binom{{{self.of(top)}}}{{{self.of(bottom)}}}"
            case ast.Name(id="log"), [inner, base]:
                return f"\\log_{{{self.of(base)}}}({self.of(inner)})"
            case ast.Name(id="Eq"), [left, right]:
                return f"{self.of(left)}={self.of(right)}"
            case ast.Name(id="Matrix" | "array" | "ImmutableMatrix"), [ast.List() as rows]:
                return _Translation("vector").of(rows)
            case ast.Name(id="FiniteSet" | "set"), items if items:
                return f"\\{{{self._series(items)}\\}}"
            case ast.Name(id="Union"), items if items:
                return "\\cup ".join(self.of(item) for item in items)
            case ((ast.Name(id=kind) | ast.Attribute(value=ast.Name(id="Interval"), attr=kind)), [start, end]) if (
                kind in _BRACKETS
            ):
                opening, closing = _BRACKETS[kind]
                return f"{opening}{self.of(start)}, {self.of(end)}{closing}"
            case ast.Name(id=name), [top, bottom] if name in ("Fraction", "Rational"):
                return f"\\frac{{{self.of(top)}}}{{{self.of(bottom)}}}"
            case ast.Name(id=name), [inner] if name in _BARE:
                return self.of(inner)
            case ast.Name(id=name), [inner] if name in _CALLS:
                return f"{_CALLS[name]}({self.of(inner)})"
        raise _Foreign


def _plain(value: float) -> str:
    """A number in LaTeX; exponents as powers of ten."""
    if isinstance(value, float) and not math.isfinite(value):
        raise _Foreign
    mantissa, _, exponent = repr(value).partition("e")
    return f"{mantissa}\\cdot 10^{{{int(exponent)}}}" if exponent else mantissa


def _name(name: str) -> str:
    if name in _NAMES:
        return _NAMES[name]
    if not re.fullmatch(r"[A-Za-z][0-9]?", name):
        raise _Foreign
    return name if len(name) == 1 else f"{name[0]}_{name[1]}"


def _matrix(rows: list[list[str]]) -> str:
    return "\\begin{pmatrix}" + " \\\\ ".join(" & ".join(row) for row in rows) + "\\end{pmatrix}"
