"""What is left when a keeper was killed: its sessions, which cannot leave the process session that it began.

At level 3 the kernel ends them with the namespace; here is what does it at level 2, where `setsid` is refused to them.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def end_strays(session: int) -> None:
    """Kill every process of the process session `session`, whose leader has been reaped."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(int(entry.name)) == session:
                os.kill(int(entry.name), signal.SIGKILL)
