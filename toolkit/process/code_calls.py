"""Tool calls as they stand in the code of a step, for trajectories whose record has no calls.

Invariant: only calls with literal arguments count, since nothing is run. What a call returned is known only where it
is the one call of its step: then it is the observation.
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from schemas import Step, ToolCall
from schemas.identity import canonical_json


def calls_in_code(step: Step, tree: ast.Module, is_tool: Callable[[str], bool]) -> list[ToolCall]:
    """Calls of tools by a plain name, in the order of the source; how the rollout ran is not known."""
    found = [
        (node.func.id, arguments)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and is_tool(node.func.id)
        if (arguments := _arguments(node)) is not None
    ]
    succeeded = step.error_kind == "none"
    result = canonical_json(step.observation) if len(found) == 1 and succeeded and step.observation else None
    return [
        ToolCall(
            trajectory_id=step.trajectory_id,
            attempt=step.attempt,
            step_index=step.step_index,
            ordinal=ordinal,
            name=name,
            arguments=arguments,
            result=result,
            error=None if succeeded else step.error,
        )
        for ordinal, (name, arguments) in enumerate(found)
    ]


def _arguments(call: ast.Call) -> str | None:
    """Arguments as a JSON object, those without a name by position. None: they are not all literal."""
    named = [(keyword.arg, keyword.value) for keyword in call.keywords]
    given = [*((str(position), value) for position, value in enumerate(call.args)), *named]
    try:
        text = canonical_json({str(name): ast.literal_eval(value) for name, value in given})
        text.encode()
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        # Names and calls are no literals; sets, bytes and half characters no JSON.
        return None
    return text
