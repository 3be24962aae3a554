"""The same trajectories as other tools keep them: JSON lines for `datasets`, nested Parquet for DuckDB.

Both peers get what they are best at: nested Parquet its scalar columns beside the list of
steps, `datasets` its memory-mapped Arrow files, batched functions and only the columns a
question needs. Every answer is a sorted list of tuples and must equal the lake's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from schemas import Row, Score, Step, ToolCall, Trajectory

Answer = list[tuple[Any, ...]]
CODE = re.compile(r"final_answer\(\d{1,4}\)")
_CALL = pa.struct([("name", pa.string()), ("arguments", pa.string()), ("result", pa.string())])
_STEP = pa.struct(
    [
        *((name, pa.string()) for name in ("completion", "thought", "code", "observation", "error_kind", "error")),
        ("completion_tokens", pa.int64()),
        ("prompt_tokens", pa.int64()),
        ("latency_ms", pa.float64()),
        ("tool_calls", pa.list_(_CALL)),
    ]
)
NESTED = pa.schema(
    [
        ("trajectory_id", pa.string()),
        ("dataset", pa.string()),
        ("final_answer", pa.string()),
        ("n_steps", pa.int64()),
        ("parse_errors", pa.int64()),
        ("correct", pa.bool_()),
        ("steps", pa.list_(_STEP)),
    ]
)


def nested_row(rows: Iterable[Row]) -> dict[str, Any]:
    """One trajectory with its steps and calls inside it."""
    found: dict[str, Any] = {"steps": []}
    for row in rows:
        if isinstance(row, Trajectory):
            found |= row.model_dump(include=set(NESTED.names))
        elif isinstance(row, Step):
            found["steps"].append({**row.model_dump(include={field.name for field in _STEP}), "tool_calls": []})
        elif isinstance(row, ToolCall):
            found["steps"][row.step_index]["tool_calls"].append(
                {"name": row.name, "arguments": row.arguments, "result": row.result}
            )
        elif isinstance(row, Score):
            found["correct"] = row.passed
    return found


class PeerFiles:
    """A JSONL file and a nested Parquet file, written batch by batch."""

    def __init__(self, directory: Path) -> None:
        self.jsonl, self.parquet = directory / "trajectories.jsonl", directory / "nested.parquet"
        self._lines = self.jsonl.open("wb")
        self._writer = pq.ParquetWriter(self.parquet, NESTED, compression="zstd")

    def write_jsonl(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append to the JSONL file."""
        self._lines.writelines(orjson.dumps(row) + b"\n" for row in rows)

    def write_parquet(self, rows: Sequence[dict[str, Any]]) -> None:
        """Append to the Parquet file as one row group."""
        self._writer.write_table(pa.Table.from_pylist(list(rows), schema=NESTED))

    def close(self) -> None:
        """Finish both files."""
        self._lines.close()
        self._writer.close()


def nested_queries(path: Path) -> dict[str, Callable[[], Answer]]:
    """The questions, asked of nested Parquet through DuckDB."""
    connection = duckdb.connect()
    connection.execute(f"CREATE VIEW nested AS SELECT * FROM read_parquet('{path}')")
    queries = {
        "step aggregate": "SELECT sum(s.completion_tokens), count(*) FROM (SELECT unnest(steps) AS s FROM nested)",
        "searches by dataset and length": """
            SELECT dataset, n_steps, count(*), sum(len(list_filter(
                flatten(list_transform(steps, lambda s: s.tool_calls)), lambda c: c.name = 'web_search')))
            FROM nested GROUP BY ALL""",
        "error kinds by dataset": """
            SELECT dataset, s.error_kind, count(*)
            FROM (SELECT dataset, unnest(steps) AS s FROM nested) GROUP BY ALL""",
        "correct share by length": "SELECT n_steps, count(*), count(*) FILTER (correct) FROM nested GROUP BY ALL",
        "curation predicate": """
            SELECT dataset, count(*) FROM nested WHERE correct AND parse_errors = 0 AND n_steps <= 5 GROUP BY ALL""",
        "code regex": f"""
            SELECT count(*) FROM (SELECT unnest(steps) AS s FROM nested)
            WHERE regexp_matches(s.code, '{CODE.pattern}')""",
    }
    return {name: lambda sql=sql: sorted(connection.execute(sql).fetchall()) for name, sql in queries.items()}


def datasets_queries(path: Path, cache: Path) -> dict[str, Callable[[], Answer]]:
    """The questions, asked of JSON lines through `datasets` and functions over batches."""
    import datasets

    datasets.disable_progress_bars()
    loaded = datasets.load_dataset("json", data_files=str(path), cache_dir=str(cache), split="train")

    def over(columns: list[str], count: Callable[..., Counter[Any]]) -> Counter[Any]:
        total: Counter[Any] = Counter()

        def batch(*values: list[Any]) -> None:
            total.update(count(*values))

        loaded.select_columns(columns).map(batch, batched=True, input_columns=columns, load_from_cache_file=False)
        return total

    def step_aggregate(steps: list[Any]) -> Counter[Any]:
        tokens = [step["completion_tokens"] for row in steps for step in row]
        return Counter({"tokens": sum(tokens), "steps": len(tokens)})

    def searches(dataset: list[str], n_steps: list[int], steps: list[Any]) -> Counter[Any]:
        found: Counter[Any] = Counter()
        for name, length, row in zip(dataset, n_steps, steps, strict=True):
            found[name, length, "rows"] += 1
            found[name, length, "calls"] += sum(c["name"] == "web_search" for step in row for c in step["tool_calls"])
        return found

    def errors(dataset: list[str], steps: list[Any]) -> Counter[Any]:
        return Counter((name, step["error_kind"]) for name, row in zip(dataset, steps, strict=True) for step in row)

    def correct_share() -> Answer:
        found = over(["n_steps", "correct"], lambda n_steps, correct: Counter(zip(n_steps, correct, strict=True)))
        lengths = sorted({length for length, _ in found})
        return [(length, found[length, True] + found[length, False], found[length, True]) for length in lengths]

    def predicate() -> Answer:
        columns = ["correct", "parse_errors", "n_steps"]
        kept = loaded.filter(
            lambda correct, parse, n: [a and b == 0 and c <= 5 for a, b, c in zip(correct, parse, n, strict=True)],
            input_columns=columns,
            batched=True,
            load_from_cache_file=False,
        )
        return sorted(Counter(kept["dataset"]).items())

    def regex(steps: list[Any]) -> Counter[Any]:
        return Counter({1: sum(bool(step["code"] and CODE.search(step["code"])) for row in steps for step in row)})

    def searches_answer() -> Answer:
        found = over(["dataset", "n_steps", "steps"], searches)
        keys = sorted({key[:2] for key in found})
        return [(*key, found[*key, "rows"], found[*key, "calls"]) for key in keys]

    return {
        "step aggregate": lambda: [tuple(over(["steps"], step_aggregate)[key] for key in ("tokens", "steps"))],
        "searches by dataset and length": searches_answer,
        "error kinds by dataset": lambda: sorted(
            (*key, rows) for key, rows in over(["dataset", "steps"], errors).items()
        ),
        "correct share by length": correct_share,
        "curation predicate": predicate,
        "code regex": lambda: [(over(["steps"], regex)[1],)],
    }
