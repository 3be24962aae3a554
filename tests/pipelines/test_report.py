import base64
import hashlib
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from episodes import Fill, episode
from hypothesis import given
from hypothesis import strategies as st
from report_pages import HOSTILE, SENTINEL, cards, hostile_episode, mixed, select, unpacked

from pipelines.report import command
from pipelines.report.command import write_report
from pipelines.report.queries import BINS, nice_width
from schemas import Candidate, Review, Trajectory
from toolkit.api import Lake
from toolkit.cli.main import run

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULES = ("where: correct", "mask_steps: \"error_kind <> 'none'\"", "dedup: {by: trajectory}", 'where: "n_steps < 6"')


class Elements(HTMLParser):
    """The elements of a page, each with its attributes and the text of scripts and styles."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        tag, attributes = self.found[-1] if self.found else ("", {})
        if tag in ("script", "style") and "type" not in attributes and data.strip():
            self.texts.append((tag, data))


def report(lake: Lake, page: Path, selection: str | None = None, **options: Any) -> dict[str, Any]:
    """Write the page and give its overview."""
    write_report(lake, selection, page, **options)
    overview: dict[str, Any] = unpacked(page, "overview")
    return overview


def one(lake: Lake, query: str) -> Any:
    return lake.sql(query).fetchall()[0][0]


def test_the_page_asks_for_nothing_else(fill: Fill, tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    report(fill([*mixed(), *map(hostile_episode, HOSTILE)]), page)
    text = page.read_text(encoding="utf-8")
    assert (
        re.findall(r"\w+://|url\(|@import|\bimport\b *[({'\"]|\bfetch\(|XMLHttpRequest|WebSocket|sendBeacon", text)
        == []
    )
    elements = Elements(page).found
    assert {tag for tag, _ in elements} <= set(
        "html head meta title style body header h1 p nav noscript main script".split()
    )
    assert not any({"src", "href", "action", "style"} & attributes.keys() for _, attributes in elements)


def test_the_policy_allows_the_shipped_scripts_and_nothing_more(fill: Fill, tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    report(fill(mixed()), page)
    elements = Elements(page)
    policy = next(a["content"] for _, a in elements.found if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    allowed = {"script": rules["script-src"].split(), "style": rules["style-src"].split()}
    for tag in ("script", "style"):
        digests = [hashlib.sha256(text.encode()).digest() for found, text in elements.texts if found == tag]
        assert allowed[tag] == [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
    assert rules["require-trusted-types-for"] == "'script'"


def test_shipped_scripts_make_no_markup_from_strings() -> None:
    for script in Path(command.__file__).with_name("page").glob("*.js"):
        text = script.read_text()
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser|eval\(|Function\(|srcdoc", text
        )
        assert "</script" not in text


def test_hostile_text_stands_nowhere_in_the_page_and_whole_in_its_data(fill: Fill, tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    lake = fill(map(hostile_episode, HOSTILE), dataset=f"<b>{SENTINEL}</b>")
    report(lake, page)
    assert SENTINEL not in page.read_text(encoding="utf-8")
    found = {card["question"]: card for card in cards(page)}
    assert set(found) == set(HOSTILE)
    for text, card in found.items():
        acting, unparsed = card["steps"][:2]
        assert [acting[name] for name in ("thought", "code", "observation", "error")] == [text] * 4
        assert acting["calls"][0]["name"] == unparsed["completion"] == card["prompt"] == card["answer"] == text


def test_the_funnel_is_what_the_filter_did(fill: Fill, tmp_path: Path) -> None:
    lake = fill(mixed())
    filtered = select(lake, *RULES)
    funnel = report(lake, tmp_path / "r.html", "v1")["funnels"][0]
    assert [(rule["rule"], rule["before"], rule["dropped"]) for rule in funnel["rules"]] == [
        (step.label, step.before, step.dropped) for step in filtered.funnel
    ]
    assert sum(rule["masked_steps"] for rule in funnel["rules"]) == filtered.masked_steps > 0
    assert funnel["rules"][-1]["left"] == funnel["n_kept"] == filtered.selection.n_kept > 0


def test_every_distribution_equals_its_sql(fill: Fill, tmp_path: Path) -> None:
    lake = fill(mixed())
    select(lake, *RULES)
    views = report(lake, tmp_path / "r.html", "v1")["views"]
    for name, chosen in (("all", "true"), ("kept", "kept")):
        rows = f"(SELECT * FROM trajectories_scored JOIN decisions USING (trajectory_id) WHERE {chosen})"
        steps = dict(lake.sql(f"SELECT n_steps, count(*) FROM {rows} GROUP BY 1").fetchall())
        view = views[name]
        assert {b["least"]: b["correct"] + b["wrong"] + b["undecided"] for b in view["steps"]["bins"]} == steps
        assert sum(b["wrong"] for b in view["steps"]["bins"]) == one(
            lake, f"SELECT count(*) FROM {rows} WHERE NOT correct"
        )
        errors = lake.sql(f"SELECT error_kind, count(*) FROM steps SEMI JOIN {rows} USING (trajectory_id) GROUP BY 1")
        assert {row["name"]: row["steps"] for row in view["errors"]} == dict(errors.fetchall())
        calls = one(lake, f"SELECT count(*) FROM tool_calls SEMI JOIN {rows} USING (trajectory_id)")
        assert [row["calls"] for row in view["tools"]] == [calls]
        solved = f"SELECT count(DISTINCT task_id) FROM {rows} WHERE correct"
        assert sum(row["tasks"] for row in view["difficulty"] if row["bin"] == 5) == one(lake, solved)
        count = one(lake, f"SELECT count(*) FROM {rows}")
        assert sum(row["trajectories"] for row in view["sources"]) == count
        assert sum(row["trajectories"] for row in view["stops"]) == count


def test_the_page_and_stats_say_the_same(fill: Fill, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lake = fill(mixed())
    select(lake, *RULES)
    overview = report(lake, tmp_path / "r.html", "v1")
    capsys.readouterr()
    for arguments, view in (([], "all"), (["--selection", "v1"], "kept")):
        assert run(["stats", *arguments, "--lake", str(lake.path), "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert said["kept_trajectories" if arguments else "trajectories"] == overview["views"][view]["datasets"]


def test_the_index_says_what_became_of_each_row(fill: Fill, tmp_path: Path) -> None:
    lake = fill(mixed())
    select(lake, *RULES)
    page = tmp_path / "r.html"
    report(lake, page, "v1")
    index = unpacked(page, "index")
    decided = lake.sql("SELECT trajectory_id, kept, rule, nearest_kept_id FROM decisions ORDER BY 1").fetchall()
    assert list(zip(index["id"], index["kept"], index["rule"], index["instead"], strict=True)) == decided
    assert [card["id"] for card in cards(page)] == index["id"]


def test_a_lake_without_selection_shows_what_repeats_what(fill: Fill, tmp_path: Path) -> None:
    first, same = episode("twin"), episode("twin")
    alike = episode("other")
    alike.steps[0].thought, alike.steps[0].code = "a thought of its own", "search[twin 0]"
    lake = fill([first, same, alike])
    page = tmp_path / "r.html"
    overview = report(lake, page)
    index = unpacked(page, "index")
    ids = [row[0] for row in lake.sql("SELECT trajectory_id FROM trajectories ORDER BY source_position").fetchall()]
    fates = dict(zip(index["id"], zip(index["rule"], index["instead"], strict=True), strict=True))
    assert [fates[each] for each in ids] == [(None, None), ("says the same", ids[0]), ("does the same", ids[0])]
    assert (overview["kept"], overview["funnels"]) == (None, [])


def test_numbers_cover_rows_that_are_not_embedded(fill: Fill, tmp_path: Path) -> None:
    lake = fill([episode(f"q{index}") for index in range(20)])
    page = tmp_path / "r.html"
    overview = report(lake, page, embed=5)
    assert (overview["trajectories"], overview["embedded"]) == (20, 5)
    assert len(cards(page)) == len(unpacked(page, "index")["id"]) == 5
    assert overview["views"]["all"]["datasets"][0]["trajectories"] == 20


def test_an_embedded_duplicate_brings_the_row_in_its_place(fill: Fill, tmp_path: Path) -> None:
    lake = fill([episode("twin") for _ in range(30)])
    select(lake, "dedup: {by: trajectory}")
    page = tmp_path / "r.html"
    report(lake, page, "v1", embed=3)
    index = unpacked(page, "index")
    assert 3 <= len(index["id"]) <= 4
    assert set(filter(None, index["instead"])) <= set(index["id"])


def test_a_card_holds_what_graders_people_recipes_and_votes_said(fill: Fill, tmp_path: Path) -> None:
    lake = fill([episode("q", failing=1, reward=1.0)])
    about = {"trajectory_id": one(lake, "SELECT trajectory_id FROM trajectories"), "step_index": 1}
    outcomes = [("a", 2, True), ("a", 2, False), ("b", 1, False), (None, 0, False)]
    with lake.write("remarks") as batch:
        for index, (key, votes, chosen) in enumerate(outcomes):
            said = {"completion": "c", "status": "ok", "outcome_key": key, "votes": votes, "chosen": chosen}
            batch.add([Candidate.model_validate({**about, **said, "candidate_index": index})])
        word = {"reviewer": "ann", "project": "p", "verdict": "wrong", "comment": SENTINEL, "reviewed_at": NOW}
        batch.add([Review.model_validate({**about, **word})])
    select(lake, "mask_steps: \"error_kind <> 'none'\"")
    page = tmp_path / "r.html"
    report(lake, page, "v1")
    card = cards(page)[0]
    assert card["steps"][0]["weight"] == {"step_index": 0, "weight": 0.0, "rule": "1: mask_steps"}
    assert card["steps"][1]["vote"] == {"step_index": 1, "candidates": 4, "voting": 3, "votes": 2}
    assert [(review["step_index"], review["comment"]) for review in card["reviews"]] == [(1, SENTINEL)]
    assert [(score["scorer"], score["passed"]) for score in card["scores"]] == [("reward@source", True)]


def test_what_came_after_the_selection_is_counted(fill: Fill, tmp_path: Path) -> None:
    lake = fill([episode("one"), episode("two")])
    select(lake, "where: correct")
    lake = fill([episode("three")], start=3)
    retried = next(row for row in lake.scan("trajectories").collect().to_dicts() if row["source_position"] == 1)
    with lake.write("retry") as batch:
        batch.add([Trajectory(**{**retried, "attempt": 1})])
    overview = report(lake, tmp_path / "r.html", "v1")
    funnel = overview["funnels"][0]
    assert (funnel["n_later"], funnel["n_retried"], overview["trajectories"]) == (1, 1, 2)


def test_an_empty_lake_has_a_page(fill: Fill, tmp_path: Path) -> None:
    overview = report(fill([]), tmp_path / "r.html")
    assert (overview["trajectories"], overview["part_starts"]) == (0, [])


def test_a_page_that_is_there_is_left_alone(
    fill: Fill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    lake = fill([episode("q")])
    (tmp_path / "report.html").write_text("mine")
    arguments = ["report", "--lake", str(lake.path)]
    assert run(arguments) == 2
    assert "report.html" in capsys.readouterr().err
    assert (tmp_path / "report.html").read_text() == "mine"
    assert run([*arguments, "--overwrite"]) == 0
    assert "1 trajectories" in capsys.readouterr().err
    assert run([*arguments, "--out", str(tmp_path)]) == 2
    assert run([*arguments, "--selection", "nope", "--overwrite"]) == 2
    assert run([*arguments, "--embed", "-1", "--overwrite"]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lake", "report.html"]


@given(st.integers(0, 10**12))
def test_a_histogram_has_few_bins_of_a_round_width(usual: int) -> None:
    width = nice_width(usual)
    assert usual // width < BINS
    assert re.fullmatch("[125]0*", str(width))
    assert width == 1 or usual // (width // 2.5 if str(width)[0] == "5" else width // 2) >= BINS


def test_a_directory_is_no_page_to_overwrite(fill: Fill, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lake = fill([episode("q")])
    assert run(["report", "--out", str(tmp_path), "--lake", str(lake.path), "--overwrite"]) == 2
    said = capsys.readouterr().err
    assert f"{tmp_path} is a directory; name the page to write, such as {tmp_path / 'report.html'}" in said
    assert "--overwrite" not in said
