"""Programs as their shape: what they call and how, whatever they name things.

Names that a program binds itself, literals, comments and docstrings are abstracted; operators, control flow, called
tools, modules, attributes and keyword arguments stay. So a renamed program is the same strategy, and one that calls
something else is not. All code of a trajectory is one program: what one action binds, later ones may use.
Invariant: never raises, whatever the text; code that does not parse falls back to its tokens, abstracted alike.
Not covered: the same computation written otherwise (a loop and a comprehension); names bound only by `exec`.
"""

from __future__ import annotations

import ast
import keyword
import re
import sys
import warnings
from collections.abc import Iterator, Sequence

VERSION = f"programs@1 python={sys.version_info[0]}.{sys.version_info[1]}"
"""Belongs to the scheme of stored sketches: syntax trees differ between versions of Python."""
MAX_CHARS = 200_000
"""Longer code is read as tokens: a parser's memory grows with its tree."""

_TOKEN = re.compile(
    r"""(?P<text>[rbfuRBFU]{0,2}(?:'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"))
    |(?P<comment>\#[^\n]*)
    |(?P<number>\d[\w.]*)
    |(?P<name>[^\W\d]\w*)(?=(?P<call>\s*\()?)
    |(?P<operator>[^\w\s])""",
    re.VERBOSE | re.DOTALL,
)


def program_shape(snippets: Sequence[str]) -> str:
    """The shape of a program that was run as `snippets`, one after the other, as words; empty if there is no code."""
    trees = [_parsed(snippet) for snippet in snippets]
    bound = {name for nodes in trees if nodes is not None for node in nodes for name in _bound(node)}
    shapes = []
    for snippet, nodes in zip(snippets, trees, strict=True):
        shapes.append(" ".join(_tokens(snippet, bound) if nodes is None else _shape(nodes, bound)))
    return "\n".join(shape for shape in shapes if shape)


def _parsed(snippet: str) -> list[ast.AST] | None:
    """The nodes of a snippet in reading order; None if it does not parse."""
    if len(snippet) > MAX_CHARS:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _nodes(ast.parse(snippet))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _nodes(tree: ast.Module) -> list[ast.AST]:
    """All that says something, in reading order; by a stack of our own, for trees may be deeper than Python's."""
    found: list[ast.AST] = []
    stack: list[ast.AST] = tree.body[::-1]  # type: ignore[assignment]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Expr):
            # Docstrings and other texts that stand alone are comments.
            if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
                continue
        found.append(node)
        for field in reversed(node._fields):
            value = getattr(node, field, None)
            if isinstance(value, list):
                stack.extend(item for item in reversed(value) if isinstance(item, ast.AST))
            elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
                stack.append(value)
    return found


def _bound(node: ast.AST) -> Iterator[str]:
    """Names that a node gives to something."""
    if isinstance(node, ast.Name):
        if not isinstance(node.ctx, ast.Load):
            yield node.id
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.alias | ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
        given = node.asname if isinstance(node, ast.alias) else node.name
        if given:
            yield given


def _shape(nodes: list[ast.AST], bound: set[str]) -> Iterator[str]:
    # Keyword arguments belong to whoever defined the function: those of the program's own are names like others.
    own: set[ast.keyword] = set()
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in bound:
            own.update(node.keywords)
        yield "keyword name" if node in own else _said(node, bound)


def _said(node: ast.AST, bound: set[str]) -> str:
    """The words for a node itself; names have an underscore that node types have not."""
    if isinstance(node, ast.Name):
        return "name" if node.id in bound else f"_{node.id}"
    if isinstance(node, ast.Constant):
        return type(node.value).__name__
    if isinstance(node, ast.Attribute):
        return f"attribute _{node.attr}"
    if isinstance(node, ast.keyword):
        return f"keyword _{node.arg}"
    if isinstance(node, ast.ImportFrom):
        return f"importfrom _{node.module}"
    if isinstance(node, ast.alias):
        return f"alias _{node.name}"
    return type(node).__name__


def _tokens(snippet: str, bound: set[str]) -> Iterator[str]:
    """Tokens of code that does not parse; a name that is neither called nor an attribute is taken for a variable."""
    previous = ""
    for token in _TOKEN.finditer(snippet):
        kind = token.lastgroup if token.lastgroup != "call" else "name"
        if kind == "text":
            yield "str"
        elif kind == "number":
            yield "number"
        elif kind == "name":
            name = token["name"]
            called = token["call"] is not None and name not in bound
            yield name if keyword.iskeyword(name) else f"_{name}" if called or previous == "." else "name"
        elif kind == "operator":
            yield f"op{ord(token[0])}"
        previous = token[0]
