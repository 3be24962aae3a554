"""A recipe's predicate is one boolean expression over one view, or it is refused before anything runs."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lake_rows import rollout, score

from toolkit.errors import QueryError
from toolkit.lake.lake import open_lake
from toolkit.lake.predicate import parse_predicate

VIEW = "trajectories_scored"


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    lake = open_lake(tmp_path_factory.mktemp("predicate") / "lake", create=True)
    with lake.write("rollouts") as batch:
        for name in range(4):
            batch.add(rollout(name, n_steps=name, mark=f"it's {name} AND (more)"))
            batch.add([score(name, name % 2 == 0)])
    found = lake.snapshot().connect()
    yield found
    found.close()


@pytest.mark.parametrize(
    ("text", "conjuncts", "columns"),
    [
        ("correct", 1, {"correct"}),
        ("correct and n_steps = 2", 2, {"correct", "n_steps"}),
        ("(correct AND n_steps = 2) AND parse_errors = 0", 3, {"correct", "n_steps", "parse_errors"}),
        ("correct AND (n_steps = 1 OR n_steps = 2)", 2, {"correct", "n_steps"}),
        ("NOT correct -- a comment", 1, {"correct"}),
        ("/* another */ correct", 1, {"correct"}),
        ("final_answer LIKE 'it''s%AND (more)'", 1, {"final_answer"}),
        ("final_answer <> 'a WHERE b' AND correct", 2, {"final_answer", "correct"}),
        ("trajectory_id IN (SELECT trajectory_id FROM steps WHERE error_kind = 'none')", 1, {"trajectory_id"}),
        ("n_steps BETWEEN 1 AND 2", 1, {"n_steps"}),
        ("true", 1, set()),
        ("true" + " AND correct" * 600, 601, {"correct"}),
    ],
)
def test_a_predicate_is_taken_apart_at_its_top_level_ands(
    connection: duckdb.DuckDBPyConnection, text: str, conjuncts: int, columns: set[str]
) -> None:
    found = parse_predicate(connection, text, VIEW)
    assert len(found.conjuncts) == conjuncts
    assert columns <= set(found.columns)


_ATOMS = st.sampled_from(
    [
        "correct",
        "n_steps > 1",
        "final_answer LIKE '%2%'",
        "em IS NULL",
        "parse_errors = 0",
        "f1 < 0.5",
        "attempt IN (0)",
    ]
)
_PREDICATES = st.recursive(
    _ATOMS,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda parts: f"({' '.join(parts)})")
        | inner.map(lambda part: f"(NOT {part})")
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=30)
@given(text=_PREDICATES)
def test_the_parts_together_say_what_the_whole_says(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    found = parse_predicate(connection, text, VIEW)
    together = " AND ".join(f"({part})" for part in found.conjuncts)
    different = f"SELECT count(*) FROM {VIEW} WHERE ({text}) IS DISTINCT FROM ({together})"
    assert connection.execute(different).fetchall() == [(0,)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-- nothing",
        "correct;",
        "correct); DROP VIEW steps; SELECT (1",
        "correct) UNION ALL SELECT * FROM trajectories_scored WHERE (true",
        "correct) ORDER BY (n_steps",
        "correct) LIMIT (1",
        "correct) GROUP BY (n_steps",
        "correct) HAVING (true",
        "correct) QUALIFY (row_number() OVER () = 1",
        "correct) USING SAMPLE (10",
        "correct), (true",
        "correct) -- ",
        "correct /* open",
        "'open",
        "(correct",
        "correct)",
        "n_steps",
        "'text'",
        "no_such_column = 1",
        "count(*) > 1",
        "row_number() OVER () = 1",
        "final_answer IN (SELECT content FROM read_text('/etc/passwd'))",
        "EXISTS (SELECT * FROM glob('/etc/*'))",
        "EXISTS (FROM query('SELECT 1'))",
        "EXISTS (FROM '/etc/passwd')",
        "EXISTS (WITH x AS (COPY (SELECT 1) TO 'x.csv') SELECT 1)",
        "EXISTS (WITH x AS (DELETE FROM scratch RETURNING *) SELECT 1)",
        "(" * 2_000 + "correct" + ")" * 2_000,
        "NOT " * 900 + "correct",
    ],
)
def test_what_is_not_one_boolean_expression_is_refused_in_words_that_quote_it(
    connection: duckdb.DuckDBPyConnection, text: str
) -> None:
    with pytest.raises(QueryError, match="the predicate"):
        parse_predicate(connection, text, VIEW)
