"""What "current" means, written down a second time in plain Python, to hold the lake's views against.

Of rows with equal key the newest version counts, of equal versions the one written last; rows
that follow a trajectory or a selection count only if that very row is current.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from lake_rows import START, an_id
from row_strategies import rows_of

from schemas import TABLES, Row
from schemas.tables import LINKS

IDS = [an_id("id", index) for index in range(3)]
MOMENTS = [START, START.replace(year=2027)]
_SMALL: dict[str, SearchStrategy[object]] = {
    "attempt": st.integers(0, 1),
    "step_index": st.integers(0, 1),
    "ordinal": st.just(0),
    "candidate_index": st.just(0),
    "scorer": st.sampled_from(["fact@1", "reward@source"]),
    "role": st.just("code"),
    "scheme": st.just("s"),
    "reviewer": st.just("r"),
    "project": st.just("p"),
    "name": st.sampled_from(["a", "b"]),
    "finished_at": st.sampled_from([None, *MOMENTS]),
    "scored_at": st.sampled_from(MOMENTS),
    "reviewed_at": st.sampled_from(MOMENTS),
    "created_at": st.sampled_from(MOMENTS),
}
"""Few values for whatever decides what is current, so that retries, doubles and orphans are common."""


def _small_rows(name: str) -> SearchStrategy[Row]:
    """Rows of table `name` that often meet each other; the other columns are as usual."""
    table = TABLES[name]
    decisive = {*table.key, *table.newest_by, *(LINKS[table.follows] if table.follows else ())}
    ids = {column: st.sampled_from(IDS) for column in decisive if column not in _SMALL}
    small = {column: values for column, values in _SMALL.items() if column in decisive}
    if name in ("trajectories", "tool_calls", "candidates"):
        small.pop("role", None)
    if name == "scores":
        small["step_index"] = st.sampled_from([None, 0])
    return rows_of(table.model, **ids, **small)


def commits(names: Sequence[str]) -> SearchStrategy[list[list[Row]]]:
    """A history: some commits of some rows of the tables `names`."""
    row = st.one_of(*(_small_rows(name) for name in names))
    return st.lists(st.lists(row, min_size=1, max_size=8), min_size=1, max_size=4)


def current(rows: Iterable[Row], name: str) -> list[Row]:
    """The current rows of table `name` among `rows`, which stand in the order of writing."""
    table, rows = TABLES[name], list(rows)
    newest: dict[tuple[object, ...], Row] = {}
    followed = _links(current(rows, table.follows), table.follows) if table.follows else None
    for row in rows:
        if type(row) is not table.model:
            continue
        if followed is not None and _link(row, table.follows) not in followed:
            continue
        key = tuple(getattr(row, column) for column in table.key)
        if key not in newest or _version(row, table.newest_by) >= _version(newest[key], table.newest_by):
            newest[key] = row
    return list(newest.values())


def _version(row: Row, columns: Sequence[str]) -> list[tuple[bool, object]]:
    """For comparing; null is lowest."""
    return [(value is not None, value or 0) for value in (getattr(row, column) for column in columns)]


def _links(rows: Iterable[Row], followed: str | None) -> set[tuple[object, ...]]:
    return {_link(row, followed) for row in rows}


def _link(row: Row, followed: str | None) -> tuple[object, ...]:
    return tuple(getattr(row, column) for column in LINKS[followed or ""])
