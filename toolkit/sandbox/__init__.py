r"""Run model-written Python in processes of its own.

    async with Sandbox(tools={"web_search": search}, limits=Limits(step_timeout_s=5)) as sandbox:
        session = await sandbox.open()
        outcome = await session.run("x = 21\nprint(x * 2)")
        candidates = await session.fork(8)

What is here is level 1 (`require_level` says what that means): resource limits, no confinement.
"""

from toolkit.contracts import Limits, Outcome, Trial
from toolkit.sandbox.level import require_level
from toolkit.sandbox.modules import DEFAULT_MODULES
from toolkit.sandbox.sandbox import ProcessSandbox

Sandbox = ProcessSandbox

__all__ = ["DEFAULT_MODULES", "Limits", "Outcome", "ProcessSandbox", "Sandbox", "Trial", "require_level"]
