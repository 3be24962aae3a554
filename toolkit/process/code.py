"""What Python code does and does not do, read from its syntax tree; nothing is run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from toolkit.contracts import Verdict
from toolkit.process.episode import Action, Episode, called_names, excerpt

_INERT = (
    ast.Module, ast.Expr, ast.Constant, ast.Pass, ast.Assign, ast.AnnAssign, ast.Name, ast.expr_context, ast.Tuple,
    ast.List, ast.Dict, ast.Set, ast.JoinedStr, ast.FormattedValue, ast.USub, ast.UnaryOp,
)  # fmt: skip
"""Nodes that by themselves compute nothing."""
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def idle_code(episode: Episode) -> Iterator[Verdict]:
    """Steps whose code computes nothing.

    Such code only states literals, prints them, imports, or defines what no later code uses. Value: idle steps.
    Does not count: the final step (it gives the answer), code that shows what an earlier step bound, definitions and
    constants that a later step reads, `from … import *`, steps without code or with code that does not parse.
    Not applicable: actions that are not Python.
    """
    if not episode.is_python:
        yield Verdict(None, None, details={"not_applicable": "its actions are not Python"})
        return
    total = 0
    read_later: set[str] = set()
    found: list[Verdict] = []
    for action in reversed(episode.actions):
        if action.tree is not None and not action.step.is_final and _is_idle(action.tree, read_later):
            total += 1
            code = excerpt(action.step.code or "")
            found.append(Verdict(1.0, False, action.step.step_index, {"code": code}))
        read_later |= _names_read(action)
    yield from reversed(found)
    yield Verdict(float(total), total == 0)


def _names_read(action: Action) -> set[str]:
    if action.tree is None:
        # What does not parse may have been meant to read any name in it.
        return set(re.findall(r"\w+", action.step.code or ""))
    return {node.id for node in action.nodes if isinstance(node, ast.Name) and _is_read(node)}


def answered_literal(actions: Sequence[Action]) -> ast.Constant | None:
    """The literal that is given as the answer: the argument of `final_answer`, or what its name is bound to.

    None: the answer is computed, or it cannot be told.
    """
    final = next((action for action in reversed(actions) if action.step.is_final), None)
    if final is None:
        return None
    calls = [call for name, call in called_names(final.nodes) if name == "final_answer"]
    if len(calls) != 1:
        return None
    given = [*calls[0].args, *(keyword.value for keyword in calls[0].keywords)]
    if len(given) != 1:
        return None
    return _literal(given[0], actions)


def literal_text(literal: ast.Constant) -> str:
    """A literal as text."""
    try:
        return str(literal.value)
    except ValueError:
        # Python prints no integer of more than 4,300 digits.
        return "a very large number"


def only_shown(actions: Sequence[Action], position: int, tool: str) -> bool:
    """Whether the code of a step only prints what `tool` returns, or binds it to names that are only printed.

    True as well where there is no code to read.
    """
    action = actions[position]
    parents = action.parents
    for name, call in called_names(action.nodes):
        if name != tool or _is_shown(call, parents):
            continue
        statement = parents.get(call)
        if not isinstance(statement, ast.Assign) or not all(isinstance(to, ast.Name) for to in statement.targets):
            return False
        names = {to.id for to in statement.targets if isinstance(to, ast.Name)}
        if not all(_names_only_shown(later, names) for later in actions[position:]):
            return False
    return True


def _names_only_shown(action: Action, names: set[str]) -> bool:
    reads = [node for node in action.nodes if isinstance(node, ast.Name) and node.id in names and _is_read(node)]
    return all(_is_shown(node, action.parents) for node in reads)


def _is_shown(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    parent = parents.get(node)
    if isinstance(parent, ast.Call):
        return isinstance(parent.func, ast.Name) and parent.func.id == "print"
    return isinstance(parent, ast.Expr)


def _is_idle(tree: ast.Module, read_later: set[str]) -> bool:
    bound: set[str] = set()
    for statement in tree.body:
        if isinstance(statement, _DEFINITIONS):
            bound.add(statement.name)
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            if statement.names[0].name == "*":
                return False
            bound |= {(alias.asname or alias.name).split(".")[0] for alias in statement.names}
        elif not _is_inert(statement, bound):
            return False
    return not bound & read_later


def _is_inert(statement: ast.stmt, bound: set[str]) -> bool:
    """Whether a statement only states or prints literals, or names bound to them; adds the names that it binds."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Call):
            if not (isinstance(node.func, ast.Name) and node.func.id == "print"):
                return False
        elif isinstance(node, ast.Name):
            if not _is_read(node):
                bound.add(node.id)
            elif node.id not in {"print", *bound}:
                return False
        elif not isinstance(node, _INERT):
            return False
    return True


def _is_read(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Load)


def _literal(node: ast.expr, actions: Sequence[Action]) -> ast.Constant | None:
    if isinstance(node, ast.Constant):
        return node
    if not isinstance(node, ast.Name):
        return None
    values: list[ast.expr | None] = []
    for action in actions:
        if action.tree is None:
            continue
        top = {
            to: statement.value
            for statement in action.tree.body
            if isinstance(statement, ast.Assign)
            for to in statement.targets
        }
        values += [
            top.get(found)
            for found in action.nodes
            if isinstance(found, ast.Name) and found.id == node.id and not _is_read(found)
        ]
    constants = [value for value in values if isinstance(value, ast.Constant)]
    return constants[-1] if constants and len(constants) == len(values) else None
