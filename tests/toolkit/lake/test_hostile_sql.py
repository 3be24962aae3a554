"""SQL of strangers cannot write anywhere, and cannot read outside the tables of the lake."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from lake_rows import rollout

from toolkit.errors import QueryError
from toolkit.lake.check import check
from toolkit.lake.lake import Lake, open_lake
from toolkit.lake.query import select

WRITING = {
    "copy to a new file": "COPY (SELECT 1) TO '{outside}/new.csv'",
    "copy onto a segment": "COPY (SELECT 1) TO '{segment}' (FORMAT parquet, USE_TMP_FILE false)",
    "copy after a select": "SELECT 1; COPY (SELECT 1) TO '{outside}/new.csv'",
    "copy in a CTE": "WITH x AS (COPY (SELECT 1 AS a) TO '{outside}/new.csv') SELECT * FROM x",
    "copy onto a segment in a CTE": (
        "WITH x AS (COPY (SELECT 1 AS a) TO '{segment}' (FORMAT parquet, USE_TMP_FILE false)) SELECT * FROM x"
    ),
    "copy in a CTE of a subquery": (
        "SELECT * FROM (WITH x AS (COPY (SELECT 1) TO '{segment}' (USE_TMP_FILE false)) SELECT 1)"
    ),
    "copy in a CTE of a union": (
        "SELECT 1 UNION ALL (WITH x AS (COPY (SELECT 1) TO '{segment}' (USE_TMP_FILE false)) SELECT 1)"
    ),
    "copy under explain": "EXPLAIN ANALYZE COPY (SELECT 1) TO '{segment}' (USE_TMP_FILE false)",
    "explain": "EXPLAIN SELECT 1",
    "copy in query()": (
        "SELECT * FROM query('WITH x AS (COPY (SELECT 1) TO ''{segment}'' (USE_TMP_FILE false)) SELECT 1')"
    ),
    "export": "EXPORT DATABASE '{outside}/all'",
    "import": "IMPORT DATABASE '{outside}'",
    "create table": "CREATE TABLE x (a INTEGER)",
    "create temp table": "CREATE TEMP TABLE x AS SELECT 1",
    "replace a view": "CREATE OR REPLACE VIEW steps AS SELECT 1",
    "drop a view": "DROP VIEW steps",
    "macro": "CREATE MACRO m() AS 1",
    "secret": "CREATE PERSISTENT SECRET s (TYPE s3)",
    "insert": "INSERT INTO tasks SELECT * FROM tasks",
    "insert in a CTE": "WITH x AS (INSERT INTO tasks SELECT * FROM tasks RETURNING *) SELECT * FROM x",
    "delete in a CTE": "WITH x AS (DELETE FROM scratch RETURNING *) SELECT * FROM x",
    "update in a CTE": "WITH x AS (UPDATE scratch SET a = 2 RETURNING *) SELECT * FROM x",
    "delete": "DELETE FROM steps",
    "update": "UPDATE steps SET code = ''",
    "attach": "ATTACH '{outside}/x.db'",
    "attach a segment": "ATTACH '{segment}' AS s",
    "detach": "DETACH memory",
    "use": "USE raw",
    "install": "INSTALL httpfs",
    "load": "LOAD httpfs",
    "set": "SET enable_external_access = true",
    "set threads": "SET threads = 1",
    "reset": "RESET lock_configuration",
    "variable": "SET VARIABLE a = 1",
    "pragma": "PRAGMA enable_profiling",
    "pragma that lists": "PRAGMA database_list",
    "call": "CALL pragma_version()",
    "prepare": "PREPARE p AS SELECT 1",
    "transaction": "BEGIN TRANSACTION",
    "vacuum": "VACUUM",
    "checkpoint": "CHECKPOINT",
    "two selects": "SELECT 1; SELECT 2",
    "nothing": "",
    "a comment": "-- SELECT 1",
}
READING = {
    "read_text": "SELECT * FROM read_text('/etc/passwd')",
    "read_text of the environment": "SELECT * FROM read_text('/proc/self/environ')",
    "read_text of lake.json": "SELECT * FROM read_text('{lake}/lake.json')",
    "read_text of a commit": "SELECT * FROM read_text('{lake}/commits/00000001.json')",
    "read_text of a list": "SELECT * FROM read_text(['/etc/passwd'])",
    "read_blob": "SELECT * FROM read_blob('/etc/passwd')",
    "read_csv": "SELECT * FROM read_csv('/etc/passwd')",
    "read_json": "SELECT * FROM read_json('{lake}/lake.json')",
    "read_parquet of a segment": "SELECT * FROM read_parquet('{segment}')",
    "read_parquet of a stranger": "SELECT * FROM read_parquet('{outside}/stranger.parquet')",
    "sniff_csv": "SELECT * FROM sniff_csv('/etc/passwd')",
    "parquet_metadata": "SELECT * FROM parquet_metadata('{outside}/stranger.parquet')",
    "a file as a table": "SELECT * FROM '/etc/passwd'",
    "a stranger as a table": "SELECT * FROM '{outside}/stranger.parquet'",
    "a pattern as a table": "SELECT * FROM '{outside}/*.parquet'",
    "glob outside": "SELECT * FROM glob('/etc/*')",
    "glob inside": "SELECT * FROM glob('{lake}/**')",
    "lateral": "SELECT * FROM steps, LATERAL (SELECT * FROM read_text(code))",
    "scalar subquery": "SELECT (SELECT content FROM read_text('/etc/passwd'))",
    "qualified function": "SELECT * FROM system.main.read_text('/etc/passwd')",
    "upper case": "SELECT * FROM READ_TEXT('/etc/passwd')",
    "http": "SELECT * FROM 'http://127.0.0.1:9/x.parquet'",
    "http through a function": "SELECT * FROM read_parquet('https://127.0.0.1:9/x.parquet')",
    "s3": "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
    "an extension's function": "SELECT * FROM sqlite_scan('/etc/passwd', 't')",
    "a Python variable": "SELECT * FROM secret_frame",
    "query": "SELECT * FROM query('SELECT 42')",
    "query built at run time": "SELECT * FROM query('SEL' || 'ECT 42')",
    "query_table": "SELECT * FROM query_table('/etc/passwd')",
    "secrets": "SELECT * FROM duckdb_secrets()",
    "settings": "SELECT * FROM duckdb_settings()",
    "pandas": "SELECT * FROM pandas_scan(0)",
    "arrow": "SELECT * FROM arrow_scan(1, 2, 3)",
}
FRIENDLY = {
    "count": ("SELECT count(*) FROM steps", 2),
    "raw": ("SELECT count(*) FROM raw.steps", 2),
    "CTE": ("WITH x AS (SELECT * FROM steps) SELECT count(*) FROM x", 2),
    "recursive CTE": (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT max(i) FROM n",
        5,
    ),
    "FROM first": ("FROM steps SELECT count(*)", 2),
    "union": ("SELECT count(*) FROM (SELECT code FROM steps UNION ALL SELECT code FROM raw.steps)", 4),
    "window": ("SELECT max(row_number() OVER ()) FROM steps", None),
    "trailing semicolon": ("SELECT 1;", 1),
    "range": ("SELECT count(*) FROM range(3)", 3),
    "unnest": ("SELECT count(*) FROM trajectories_scored, unnest(answers) AS a(answer)", 1),
    "json_each": ("SELECT count(*) FROM tool_calls, json_each(arguments)", 0),
    "describe": ("DESCRIBE prompts", "prompt_hash"),
    "show": ("SHOW TABLES", "candidates"),
    "columns": ("SELECT count(*) FROM duckdb_columns() WHERE table_name = 'prompts'", 4),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Path]:
    root = tmp_path_factory.mktemp("hostile")
    lake = open_lake(root / "lake", create=True)
    with lake.write("rollout") as batch:
        batch.add(rollout("a"))
    outside = root / "outside"
    outside.mkdir()
    duckdb.sql("SELECT 1 AS a").to_parquet(str(outside / "stranger.parquet"))
    return lake, outside


@pytest.fixture(scope="module")
def connection(places: tuple[Lake, Path]) -> Iterator[duckdb.DuckDBPyConnection]:
    found = places[0].snapshot().connect()
    # Pipelines keep scratch tables on such a connection; strangers must not write to them either.
    found.execute("CREATE TEMP TABLE scratch AS SELECT 1 AS a")
    yield found
    found.close()


def digests(root: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("attack", [*WRITING, *READING])
def test_an_attack_is_refused_and_leaves_no_trace(
    places: tuple[Lake, Path], connection: duckdb.DuckDBPyConnection, attack: str
) -> None:
    lake, outside = places
    secret_frame = [1, 2, 3]
    segment = lake.snapshot().files("steps")[0]
    before = digests(lake.path.parent)
    sql = {**WRITING, **READING}[attack].format(outside=outside, segment=segment, lake=lake.path)
    with pytest.raises(QueryError) as caught:
        select(connection, sql).fetchall()
    assert str(caught.value), secret_frame
    assert digests(lake.path.parent) == before
    assert connection.execute("SELECT a FROM scratch").fetchall() == [(1,)]


@pytest.mark.parametrize("attack", ["copy onto a segment in a CTE", "read_text", "two selects", "set"])
def test_the_python_interface_refuses_the_same(places: tuple[Lake, Path], attack: str) -> None:
    lake, outside = places
    segment = lake.snapshot().files("steps")[0]
    sql = {**WRITING, **READING}[attack].format(outside=outside, segment=segment, lake=lake.path)
    with pytest.raises(QueryError):
        lake.sql(sql)
    assert check(lake) == []


def test_the_connection_alone_reads_no_stranger_and_cannot_be_reconfigured(
    places: tuple[Lake, Path], connection: duckdb.DuckDBPyConnection
) -> None:
    """The second lock holds without the first one."""
    lake, outside = places
    for sql in (
        "SELECT * FROM read_text('/etc/passwd')",
        f"SELECT * FROM read_parquet('{outside}/stranger.parquet')",
        f"SELECT * FROM read_text('{lake.path}/lake.json')",
        f"SELECT * FROM glob('{lake.path}/**')",
        f"COPY (SELECT 1) TO '{outside}/new.csv'",
        f"ATTACH '{outside}/x.db'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "RESET allowed_paths",
        "SET lock_configuration = false",
        "SET temp_directory = '/tmp'",
    ):
        with pytest.raises(duckdb.Error):
            connection.execute(sql).fetchall()
    assert [path.name for path in outside.iterdir()] == ["stranger.parquet"]


@pytest.mark.parametrize("name", FRIENDLY)
def test_an_honest_query_runs(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    sql, expected = FRIENDLY[name]
    if expected is None:
        with pytest.raises(QueryError, match="window function"):
            select(connection, sql)
    else:
        assert select(connection, sql).fetchall()[0][0] == expected


def test_nesting_without_end_is_refused(connection: duckdb.DuckDBPyConnection) -> None:
    for sql in ("SELECT " + "(" * 20_000 + "1" + ")" * 20_000, "SELECT 1" + " + 1" * 900, "SELECT " + "[" * 5_000):
        with pytest.raises(QueryError):
            select(connection, sql)


def test_an_error_names_what_was_wrong(connection: duckdb.DuckDBPyConnection) -> None:
    for sql, words in [
        ("SELECT 1; SELECT 2", "expected one SELECT statement, got SELECT, SELECT"),
        ("DROP VIEW steps", "expected one SELECT statement, got DROP"),
        ("SELEC 1", "does not parse.*SELEC"),
        ("SELECT nonsense FROM steps", 'column "nonsense" not found'),
        ("SELECT * FROM step", "step does not exist"),
        ("SELECT * FROM read_text('x')", r"read_text\(…\) may not stand in FROM"),
        ("WITH x AS (COPY (SELECT 1) TO 'x') SELECT 1", "may only read, but this one holds COPY"),
    ]:
        with pytest.raises(QueryError, match=words):
            select(connection, sql)
