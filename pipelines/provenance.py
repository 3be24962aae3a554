"""What a run leaves behind about itself, where stages look for it; trainers need it too (`toolkit.lake.runs`)."""

from __future__ import annotations

from toolkit.lake.runs import environment, finished, start_run

__all__ = ["environment", "finished", "start_run"]
