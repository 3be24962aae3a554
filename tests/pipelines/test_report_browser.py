"""The report in a real browser, headless Chromium at the size of a desk and of a phone."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from episodes import Fill, episode
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from report_pages import HOSTILE, SENTINEL, hostile_episode, mixed, select

from pipelines.report.command import write_report
from toolkit.api import Lake

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.service,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: apt-get install chromium"),
]

DESK = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
RULES = ("where: correct", "dedup: {by: trajectory}", "best_of: {per_task: 1, order_by: [n_steps]}")

Look = Callable[..., Page]
"""Writes the report on a lake and opens it."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def look(browser: Browser, tmp_path: Path) -> Iterator[Look]:
    """Opens reports; at the end no script may have failed, and nothing but the file been asked for."""
    complaints: list[str] = []

    def note_request(url: str) -> None:
        if not url.startswith(("file:", "blob:")):
            complaints.append(f"request: {url}")

    with ExitStack() as stack:

        def opened(lake: Lake, selection: str | None = None, size: dict[str, int] = DESK) -> Page:
            path = tmp_path / "report.html"
            write_report(lake, selection, path, overwrite=True)
            context = stack.enter_context(browser.new_context(viewport=size, has_touch=size is PHONE))
            page = context.new_page()
            page.set_default_timeout(15_000)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda message: complaints.append(message.text))
            page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
            page.on("request", lambda request: note_request(request.url))
            page.goto(path.as_uri())
            expect(page.get_by_role("navigation").get_by_role("link")).to_have_count(3)
            return page

        yield opened
    assert complaints == []


def tab(page: Page, name: str) -> None:
    page.get_by_role("navigation").get_by_role("link", name=name).click()


def listed(page: Page) -> Locator:
    """Rows of the list in view."""
    return page.locator(".row").locator("visible=true")


def shown(page: Page) -> int:
    """Number of trajectories that the list says it shows, once nothing is searched any more."""
    status = page.get_by_role("status").locator("visible=true")
    expect(status).not_to_contain_text("so far")
    return int(re.sub(r"\D", "", status.inner_text().split(" ")[0]))


def rows(lake: Lake, where: str) -> int:
    query = f"SELECT count(*) FROM trajectories_scored LEFT JOIN decisions USING (trajectory_id) WHERE {where}"
    return int(lake.sql(query).fetchall()[0][0])


def search(page: Page, words: str) -> int:
    page.get_by_label("search").fill(words)
    page.wait_for_timeout(300)
    return shown(page)


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_no_hostile_text_becomes_an_element(fill: Fill, look: Look, size: dict[str, int]) -> None:
    texts = [text for text in HOSTILE for _ in range(2)]
    lake = fill(map(hostile_episode, texts), dataset=f"<img src=x onerror={SENTINEL}()>")
    select(lake, "dedup: {by: trajectory}")
    page = look(lake, "v1", size)
    for address in ("t", "d"):
        ids = lake.sql(
            f"SELECT trajectory_id FROM decisions WHERE {'true' if address == 't' else 'NOT kept'}"
        ).fetchall()
        for (each,) in ids:
            page.evaluate(f"location.hash = '{address}={each}'")
            expect(page.locator(f".card:has-text('{each}')")).to_be_visible()
            assert page.locator("img, svg, iframe, a:not(nav a), body style, form, object").count() == 0
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert not re.search(
                r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\u200b\U000e0041]", page.inner_text("body")
            )
    assert page.evaluate(f"typeof {SENTINEL}") == "undefined"


def test_a_card_shows_the_text_as_it_is(fill: Fill, look: Look) -> None:
    page = look(fill([hostile_episode(HOSTILE[1])]))
    tab(page, "Trajectories")
    listed(page).first.click()
    for name in ("thought", "code", "observation", "answer"):
        expect(page.locator(f".{name}").first).to_have_text(HOSTILE[1])


def test_unseen_characters_are_named_and_long_texts_come_in_pieces(fill: Fill, look: Look) -> None:
    text = "a\u202eb\x00\x00\x00c\x1b[0m" + "z" * 100_000 + "the end"
    page = look(fill([hostile_episode(text)]))
    tab(page, "Trajectories")
    listed(page).first.click()
    thought = page.locator(".text.thought")
    expect(thought.locator(".unseen")).to_have_text(["U+202E", "U+0000 ×3", "ESC"])
    assert "the end" not in thought.inner_text()
    while (more := thought.locator(".more")).count():
        more.click()
    shown_text = thought.inner_text()
    assert shown_text.endswith("the end")
    assert shown_text.count("z") == 100_000


def test_search_finds_words_of_any_step_and_phrases(fill: Fill, look: Look) -> None:
    found = episode("needle")
    found.steps[0].observation = "It lies BEHIND the Quarry."
    lake = fill([*(episode(f"hay {index}") for index in range(30)), found])
    page = look(lake)
    tab(page, "Trajectories")
    assert shown(page) == 31
    assert search(page, "quarry behind") == 1
    assert search(page, '"behind the quarry"') == 1
    assert search(page, '"quarry behind"') == 0
    assert search(page, "hay 3") == rows(lake, "question LIKE '%3%' OR trajectory_id LIKE '%3%'") - rows(
        lake, "question = 'needle' AND trajectory_id LIKE '%3%'"
    )
    assert search(page, "behind") == 1
    listed(page).first.click()
    expect(page.locator("mark")).to_have_text(["BEHIND"])


def test_filters_show_as_many_as_sql_counts(fill: Fill, look: Look) -> None:
    lake = fill([*mixed(), episode("cut", None)])
    select(lake, *RULES)
    page = look(lake, "v1")
    tab(page, "Trajectories")
    for label, value, where in (
        ("verdict", "right", "correct"),
        ("verdict", "wrong", "NOT correct"),
        ("error", "parse", "parse_errors > 0"),
        ("error", "no error", "parse_errors + execution_errors + other_errors = 0"),
        ("decision", "kept", "kept"),
        ("decision", "dropped", "NOT kept"),
        ("decision", "dropped by 2: dedup", "rule = '2: dedup'"),
        ("kind", "agent", "true"),
    ):
        page.get_by_label(label, exact=True).select_option(value)
        assert shown(page) == rows(lake, where) > 0, (label, value)
        page.get_by_label(label, exact=True).select_option("")


def test_a_rule_of_the_funnel_leads_to_what_it_dropped(fill: Fill, look: Look) -> None:
    lake = fill(mixed())
    select(lake, *RULES)
    page = look(lake, "v1")
    page.get_by_role("button", name="1: where").click()
    assert shown(page) == rows(lake, "rule = '1: where'")
    tab(page, "Overview")
    page.get_by_role("button", name=re.compile("^kept")).first.click()
    assert shown(page) == rows(lake, "kept")


def test_charts_of_what_is_kept_differ_from_those_of_all(fill: Fill, look: Look) -> None:
    lake = fill(mixed())
    select(lake, *RULES)
    page = look(lake, "v1")
    table = page.locator("table tbody tr td:nth-child(4)")
    expect(table).to_have_text(["12"])
    page.get_by_role("button", name=re.compile("^kept")).last.click()
    expect(table).to_have_text([str(rows(lake, "kept"))])


def test_a_duplicate_stands_beside_the_row_in_its_place_with_the_difference_marked(fill: Fill, look: Look) -> None:
    longer = episode("same question", searches=3)
    longer.steps[0].thought = "about the river Ven"
    shorter = episode("same question", searches=1)
    shorter.steps[0].thought = "about the river Orla"
    lake = fill([longer, shorter])
    select(lake, "best_of: {per_task: 1, order_by: [n_steps]}")
    page = look(lake, "v1")
    tab(page, "Duplicates")
    listed(page).click()
    pair = page.locator(".pair", has=page.get_by_role("heading", name="step 0 thought"))
    expect(pair.locator(".only-dropped")).to_have_text(["Ven"])
    expect(pair.locator(".only-kept")).to_have_text(["Orla"])
    expect(page.locator(".pair", has=page.get_by_role("heading", name="question")).locator("mark")).to_have_count(0)


def test_differences_join_to_the_texts_again(fill: Fill, look: Look) -> None:
    page = look(fill([episode("q")]))
    texts = ["", "a b c", "a x c", "a b c d", "x" * 50, "Straße 5, Köln\n\nzwei", "Straße 6, Köln\nzwei", *HOSTILE[:4]]
    for left in texts:
        for right in texts:
            runs = page.evaluate(f"diffWords({json.dumps(left)}, {json.dumps(right)})")
            assert ["".join(text for text, _ in side) for side in runs] == [left, right]
            same = ["".join(text for text, differs in side if not differs) for side in runs]
            assert same[0] == same[1]
            assert (left == right) == (not any(differs for side in runs for _, differs in side))


def test_a_long_list_keeps_few_rows_in_the_page_and_moves_by_keys(fill: Fill, look: Look) -> None:
    page = look(fill([episode(f"q{index}") for index in range(1200)]))
    tab(page, "Trajectories")
    options = listed(page)
    assert options.count() < 60
    options.first.click()
    page.get_by_role("listbox", name="trajectories").focus()
    page.keyboard.press("End")
    expect(page.locator(".card h2")).to_have_text("q1199")
    expect(page.locator("[aria-selected=true][role=option]")).to_contain_text("q1199")
    page.keyboard.press("ArrowUp")
    expect(page.locator(".card h2")).to_have_text("q1198")
    assert options.count() < 60


def test_a_click_counts_when_rows_are_drawn_anew_under_it(fill: Fill, look: Look) -> None:
    page = look(fill([episode(f"q{index}") for index in range(20)]))
    tab(page, "Trajectories")
    expect(listed(page).first).to_be_visible()
    trajectories = page.get_by_role("listbox", name="trajectories")
    box = trajectories.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 20, box["y"] + 3.5 * 74)
    page.mouse.down()
    trajectories.dispatch_event("scroll")
    page.mouse.up()
    expect(page.locator(".card h2")).to_have_text("q3")


def test_a_phone_shows_list_or_card_and_comes_back(fill: Fill, look: Look) -> None:
    lake = fill(mixed())
    select(lake, *RULES)
    page = look(lake, "v1", PHONE)
    for name in ("Overview", "Trajectories", "Duplicates"):
        tab(page, name)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
    tab(page, "Trajectories")
    trajectories = page.get_by_role("listbox", name="trajectories")
    listed(page).nth(2).click()
    expect(page.locator(".card")).to_be_visible()
    expect(trajectories).to_be_hidden()
    page.get_by_role("button", name="← list").locator("visible=true").click()
    expect(trajectories).to_be_visible()
    page.go_back()
    expect(page.locator(".card")).to_be_visible()


def test_a_list_comes_back_where_it_was(fill: Fill, look: Look) -> None:
    page = look(fill([episode(f"q{index}") for index in range(300)]), None, PHONE)
    tab(page, "Trajectories")
    # What is not laid out yet cannot be scrolled to.
    expect(listed(page).filter(has_text="q0")).to_be_in_viewport()
    page.evaluate("document.querySelector('.list').scrollTop = 9000")
    expect(listed(page).filter(has_text="q125")).to_be_in_viewport()
    listed(page).filter(has_text="q125").click()
    expect(page.locator(".card h2")).to_have_text("q125")
    page.get_by_role("button", name="← list").locator("visible=true").click()
    expect(listed(page).filter(has_text="q125")).to_be_in_viewport()
    tab(page, "Overview")
    tab(page, "Trajectories")
    expect(listed(page).filter(has_text="q125")).to_be_in_viewport()


@pytest.mark.parametrize("address", ["t=0000", "d=0000", "toString", "t", "=", "%E0%A4%A", "t=%3Cb%3E"])
def test_an_address_that_is_not_there_leaves_a_way_back(fill: Fill, look: Look, address: str) -> None:
    page = look(fill(mixed()), None, PHONE)
    page.evaluate(f"location.hash = '{address}'")
    if "=0000" in address:
        expect(page.get_by_text("0000")).to_be_visible()
        page.get_by_role("button", name="← list").locator("visible=true").click()
    tab(page, "Trajectories")
    expect(listed(page).first).to_be_visible()


def test_steps_that_do_the_same_stand_beside_each_other(fill: Fill, look: Look) -> None:
    longer, shorter = episode("q", searches=2, failing=1), episode("q", searches=2)
    lake = fill([longer, shorter])
    select(lake, "best_of: {per_task: 1, order_by: [n_steps]}")
    page = look(lake, "v1")
    tab(page, "Duplicates")
    listed(page).click()
    heads = page.locator(".pair h3")
    expect(heads.filter(has_text="action")).to_have_text(
        [
            "step 0 action",
            "step 1 beside 0 actionthe same",
            "step 2 beside 1 actionthe same",
            "step 3 beside 2 actionthe same",
        ]
    )


def test_a_script_that_the_page_does_not_know_cannot_run(
    fill: Fill, look: Look, browser: Browser, tmp_path: Path
) -> None:
    look(fill([episode("q")]))
    written = tmp_path / "report.html"
    other = tmp_path / "other.html"
    other.write_text(written.read_text().replace("</body>", "<script>document.title = 'changed'</script></body>"))
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(other.as_uri())
        expect(page.get_by_role("navigation").get_by_role("link")).to_have_count(3)
        assert page.title() != "changed"
        assert "TrustedHTML" in page.evaluate(
            "(() => { try { document.body.innerHTML = '<b>x</b>' } catch (error) { return String(error) } })()"
        )
