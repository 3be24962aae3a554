"""Near-duplicates by other tools, under an interpreter that has them; it needs nothing of the toolkit.

    PYTHON bench/dedup_peers.py rensa|datasketch|datatrove ROWS.jsonl DIRECTORY

Each flattens a chat to one text, as its documentation shows, takes 3 words as a shingle, as the toolkit does, and drops
rows that are like an earlier one: rensa and datasketch from an estimated Jaccard of 0.8 on, in one process; datatrove
by its own buckets (14 of 8, as it comes) in two. Prints one JSON line: the numbers of the rows `dropped`, and
`seconds` from the file to that list.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

THRESHOLD, PERMUTATIONS, SHINGLE_WORDS, WORKERS = 0.8, 128, 3, 2


def flatten(row: dict[str, Any]) -> str:
    """All that a row says."""
    return "\n".join(message["content"] for message in row["messages"])


def shingle_lists(file: Path) -> Iterator[list[str]]:
    """The shingles of each row."""
    with file.open() as lines:
        for line in lines:
            words = re.findall(r"\w+", flatten(json.loads(line)).lower())
            yield [" ".join(words[start : start + SHINGLE_WORDS]) for start in range(len(words) - SHINGLE_WORDS + 1)]


def rensa(file: Path, directory: Path) -> list[int]:
    """Each row against those kept before it."""
    from rensa import RMinHash, RMinHashLSH

    index = RMinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS, num_bands=16)
    kept: dict[int, Any] = {}
    dropped = []
    for number, shingles in enumerate(shingle_lists(file)):
        sketch = RMinHash(num_perm=PERMUTATIONS, seed=42)
        sketch.update(shingles)
        if any(sketch.jaccard(kept[other]) >= THRESHOLD for other in index.query(sketch)):
            dropped.append(number)
        else:
            kept[number] = sketch
            index.insert(number, sketch)
    return dropped


def datasketch(file: Path, directory: Path) -> list[int]:
    """Each row against those kept before it."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)
    kept: dict[int, Any] = {}
    dropped = []
    for number, shingles in enumerate(shingle_lists(file)):
        sketch = MinHash(num_perm=PERMUTATIONS)
        sketch.update_batch([shingle.encode() for shingle in shingles])
        if any(sketch.jaccard(kept[other]) >= THRESHOLD for other in index.query(sketch)):
            dropped.append(number)
        else:
            kept[number] = sketch
            index.insert(number, sketch)
    return dropped


def adapted(reader: Any, row: dict[str, Any], path: str, number: int | str) -> dict[str, Any]:
    """A row as datatrove's reader wants it."""
    return {"text": flatten(row), "id": str(number), "metadata": {}}


def datatrove(file: Path, directory: Path) -> list[int]:
    """Its four stages; what the last one excludes."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import (
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
    )
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    # Its reader gives each worker whole files.
    rows = directory / "rows"
    rows.mkdir(parents=True)
    with file.open() as lines:
        parts = [(rows / f"{part}.jsonl").open("w") for part in range(WORKERS)]
        for number, line in enumerate(lines):
            parts[number % WORKERS].write(line)
        for part in parts:
            part.close()
    config = MinhashConfig(n_grams=SHINGLE_WORDS)
    reader = JsonlReader(str(rows), adapter=adapted)
    places = {name: str(directory / name) for name in ("signatures", "buckets", "remove", "excluded", "kept")}
    excluded = JsonlWriter(places["excluded"], compression=None)
    stages: list[tuple[list[Any], int]] = [
        ([reader, MinhashDedupSignature(places["signatures"], config=config)], WORKERS),
        ([MinhashDedupBuckets(places["signatures"], places["buckets"], config=config)], config.num_buckets),
        ([MinhashDedupCluster(places["buckets"], places["remove"], config=config)], 1),
        ([reader, MinhashDedupFilter(places["remove"], excluded)], WORKERS),
    ]
    for number, (stage, tasks) in enumerate(stages):
        LocalPipelineExecutor(
            stage, tasks=tasks, workers=min(WORKERS, tasks), logging_dir=str(directory / f"log{number}")
        ).run()
    dropped = []
    for written in Path(places["excluded"]).iterdir():
        part = int(written.name.split(".")[0])
        with written.open() as lines:
            dropped += [int(json.loads(line)["id"]) * WORKERS + part for line in lines]
    return sorted(dropped)


def main() -> None:
    """Run one tool and print what it took."""
    name, file, directory = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    output = os.dup(1)
    os.dup2(2, 1)  # datatrove logs to wherever it likes
    began = time.monotonic()
    dropped = {"rensa": rensa, "datasketch": datasketch, "datatrove": datatrove}[name](file, directory)
    seconds = time.monotonic() - began
    found = {
        "dropped": dropped,
        "seconds": seconds,
    }
    os.write(output, json.dumps(found).encode() + b"\n")


if __name__ == "__main__":
    main()
