"""`toolkit report`: look at a lake or a selection in a browser.

Invariant: the page tells of one snapshot, and every number on it is counted there by SQL.
Memory holds one part of the cards at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import duckdb
import orjson
from cyclopts import Parameter

from pipelines.report.cards import read_cards
from pipelines.report.page import Part, pack, write_page
from pipelines.report.queries import IN_REPORT, KEPT, distributions, funnel, index_columns, prepare, since
from schemas import Selection
from schemas.arrow import rows_from_arrow
from toolkit.cli.options import DEFAULT_LAKE, AsJson, At, LakePath
from toolkit.cli.output import note, print_json, progress
from toolkit.errors import InputError, LakeError
from toolkit.lake.lake import Lake, open_lake
from toolkit.lake.selections import find_selection
from toolkit.lake.snapshot import Snapshot

PART_CHARS = 1_000_000
"""JSON in a part of cards: small enough to unpack at a click, large enough to compress well."""


def write_report(
    lake: Lake, selection: str | None, out: Path, *, embed: int = 10_000, at: int | None = None, overwrite: bool = False
) -> dict[str, object]:
    """Write the page about `selection`, or about the whole lake, to `out`; what is in it.

    Raises:
        InputError: no such selection, or `out` is a directory, or there and `overwrite` not set.
        LakeError: the lake cannot be read or the disk refused; a former page stays as it was.
    """
    if out.is_dir():
        raise InputError(f"--out {out} is a directory; name the page to write, such as {out / 'report.html'}")
    if out.exists() and not overwrite:
        raise InputError(f"{out} is there; choose another --out, or --overwrite")
    snapshot = lake.snapshot(at)
    chosen = None if selection is None else find_selection(snapshot, selection)
    connection = snapshot.connect()
    try:
        prepare(connection, chosen, embed)
        overview = _overview(connection, lake, snapshot, chosen)
        out.parent.mkdir(parents=True, exist_ok=True)
        size = write_page(out, _parts(connection, overview, chosen))
    except duckdb.Error as error:
        raise LakeError(f"{lake.path} cannot be read: {error}") from error
    except OSError as error:
        raise LakeError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        connection.close()
    counts = {name: overview[name] for name in ("selection", "commit", "trajectories", "embedded")}
    return {**counts, "out": str(out), "bytes": size}


def _overview(
    connection: duckdb.DuckDBPyConnection, lake: Lake, snapshot: Snapshot, chosen: Selection | None
) -> dict[str, Any]:
    selections = [chosen] if chosen else _selections(connection)
    counted = connection.execute(
        "SELECT count(*), count(*) FILTER (embedded), count(*) FILTER (kept) FROM report_rows"
    ).fetchall()[0]
    views = {"all": distributions(connection, IN_REPORT)}
    if chosen:
        views["kept"] = distributions(connection, KEPT)
    return {
        "lake": lake.path.name,
        "commit": snapshot.number,
        "made_at": datetime.now(UTC).isoformat(timespec="minutes"),
        "selection": chosen.name if chosen else None,
        "trajectories": counted[0],
        "embedded": counted[1],
        "kept": counted[2] if chosen else None,
        "funnels": [_funnel(connection, each) for each in selections],
        "views": views,
    }


def _selections(connection: duckdb.DuckDBPyConnection) -> list[Selection]:
    return list(rows_from_arrow(Selection, connection.sql("SELECT * FROM selections ORDER BY name").to_arrow_table()))


def _funnel(connection: duckdb.DuckDBPyConnection, selection: Selection) -> dict[str, Any]:
    said = selection.model_dump(include={"name", "n_input", "n_kept", "input_commit", "content_hash"})
    return {**said, **since(connection, selection), "rules": funnel(connection, selection)}


def _parts(connection: duckdb.DuckDBPyConnection, overview: dict[str, Any], chosen: Selection | None) -> Iterator[Part]:
    """Cards in parts, then what says which part holds which row."""
    starts: list[int] = []
    for start, part in _card_parts(connection, chosen, overview["embedded"]):
        starts.append(start)
        yield part
    yield pack("index", index_columns(connection))
    yield pack("overview", {**overview, "part_starts": starts})


def _card_parts(
    connection: duckdb.DuckDBPyConnection, chosen: Selection | None, total: int
) -> Iterator[tuple[int, Part]]:
    """Each part with the position of its first card; a part has each system prompt once."""
    cards: list[dict[str, Any]] = []
    prompts: dict[str, int] = {}
    chars = start = 0
    with progress("report", total, unit="trajectories") as advance:
        for done, card in enumerate(read_cards(connection, chosen.selection_id if chosen else None), start=1):
            if "prompt" in card:
                card["prompt"] = prompts.setdefault(card["prompt"], len(prompts))
            cards.append(card)
            chars += len(orjson.dumps(card))
            if chars >= PART_CHARS:
                yield start, pack(f"cards-{start}", {"cards": cards, "prompts": list(prompts)})
                cards, prompts, chars, start = [], {}, 0, done
            advance(done)
    if cards:
        yield start, pack(f"cards-{start}", {"cards": cards, "prompts": list(prompts)})


def report_command(
    *,
    selection: Annotated[str | None, Parameter(help="Report on this selection instead of the whole lake.")] = None,
    out: Annotated[Path, Parameter(help="The page to write.")] = Path("report.html"),
    embed: Annotated[int, Parameter(help="Trajectories to embed for browsing, at most; numbers cover all.")] = 10_000,
    lake: LakePath = DEFAULT_LAKE,
    at: At = None,
    overwrite: Annotated[bool, Parameter(negative="", help="Replace a page that is there.")] = False,
    json: AsJson = False,
) -> None:
    """Write one HTML page about a lake or a selection, to look at in a browser.

    Args:
        selection: Report on this selection instead of the whole lake.
        out: The page to write; it needs no other file and no network.
        embed: Trajectories to embed for browsing, at most; numbers cover all. More are drawn by the hash of their id.
        lake: Directory of the lake.
        at: Read the lake as it was after this commit.
        overwrite: Replace a page that is there.
        json: Print one JSON document.
    """
    if embed < 0:
        raise InputError(f"--embed must be 0 or more, got {embed}")
    made = write_report(open_lake(lake), selection, out, embed=embed, at=at, overwrite=overwrite)
    if json:
        print_json(made)
        return
    note(
        f"{made['trajectories']:,} trajectories, {made['embedded']:,} of them to browse:"
        f" {out} ({made['bytes']:,} bytes), to be opened in any browser"
    )
