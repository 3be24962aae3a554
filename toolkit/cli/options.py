"""Options that several commands share, said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

LakePath = Annotated[Path, Parameter(name="--lake", help="Directory of the lake.")]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document for machines.")]
At = Annotated[int | None, Parameter(name="--at", help="Read the lake as it was after this commit.")]
DryRun = Annotated[bool, Parameter(name="--dry-run", negative="", help="Say what would be done, and do nothing.")]

DEFAULT_LAKE = Path("lake")
