"""Lakes to test against: real ones, in a temporary directory, filled by the import's own code."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from episodes import Fill

from toolkit.api import Lake, open_lake
from toolkit.formats.parsed import ParsedTrajectory
from toolkit.formats.rows import Origin, to_rows

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def fill(tmp_path: Path) -> Fill:
    """Fills the lake of this test with episodes of one dataset and returns it."""

    def add(episodes: Iterable[ParsedTrajectory], dataset: str = "d", start: int = 1) -> Lake:
        lake = open_lake(tmp_path / "lake", create=True)
        origin = Origin(run_id="0" * 24, dataset=dataset, started_at=NOW)
        with lake.write("test") as batch:
            for position, parsed in enumerate(episodes, start=start):
                batch.add(to_rows(parsed, position, origin))
        return lake

    return add
