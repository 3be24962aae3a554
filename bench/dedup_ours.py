"""Near-duplicates by the toolkit, in a process of its own: `python -m bench.dedup_ours LAKE BY JACCARD`.

`toolkit filter` with one rule, as anybody runs it: texts read from the lake, sketches made (or, the second time, read)
and written, decisions written. Prints what `bench.dedup_peers` prints, and `note`, the rule's own words.
"""

from __future__ import annotations

import json
import sys
import time

from pipelines.filter import filter_lake
from pipelines.recipe import parse_recipe
from toolkit.lake.lake import open_lake


def main() -> None:
    """Run the filter and print what it took."""
    path, by, jaccard = sys.argv[1:]
    began = time.monotonic()
    lake = open_lake(path)
    recipe = parse_recipe(f"name: bench\nsteps:\n  - dedup: {{by: {by}, jaccard: {jaccard}}}\n", "bench")
    outcome = filter_lake(lake, recipe)
    seconds = time.monotonic() - began
    dropped = lake.sql("""
        SELECT source_position - 1 FROM decisions JOIN trajectories USING (trajectory_id)
        WHERE NOT kept ORDER BY 1""").fetchall()
    found = {
        "dropped": [number for (number,) in dropped],
        "seconds": seconds,
        "note": outcome.funnel[0].notes[0],
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
