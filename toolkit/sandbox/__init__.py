r"""Run model-written Python in processes of its own.

    async with Sandbox(tools={"web_search": search}, limits=Limits(step_timeout_s=5)) as sandbox:
        session = await sandbox.open()
        outcome = await session.run("x = 21\nprint(x * 2)")
        candidates = await session.fork(8)

How well they are confined is a level that is found out by trying (`probe`); docs/security.md has the details.
"""

from toolkit.contracts import Limits, Outcome, Trial
from toolkit.sandbox.level import MEANING, probe, require_level
from toolkit.sandbox.modules import DEFAULT_MODULES
from toolkit.sandbox.sandbox import ProcessSandbox

Sandbox = ProcessSandbox

__all__ = [
    "DEFAULT_MODULES",
    "MEANING",
    "Limits",
    "Outcome",
    "ProcessSandbox",
    "Sandbox",
    "Trial",
    "probe",
    "require_level",
]
