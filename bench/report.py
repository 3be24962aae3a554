"""The page of `toolkit report` with many trajectories: its size, and how long a person waits for it in Chromium.

    python -m bench.report [--trajectories 10000]

Synthetic trajectories (`bench.synthetic`), a selection with 34 % kept, headless Chromium 1440 pixels wide. Times are
wall-clock, the driver's own few milliseconds included. Not covered: a phone's processor.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from bench.synthetic import episodes, the_run
from pipelines.filter import filter_lake
from pipelines.recipe import parse_recipe
from pipelines.report.command import write_report
from toolkit.lake.lake import Lake, open_lake

RECIPE = """\
name: big
steps:
  - where: "correct and stop_reason = 'final_answer'"
  - where: "parse_errors = 0"
  - best_of: {per_task: 1, order_by: [n_steps, completion_tokens]}
"""
TYPING_MS = 120
"""What the page waits for after the last key; not counted."""


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trajectories", type=int, default=10_000)
    count = parser.parse_args().trajectories
    with tempfile.TemporaryDirectory() as folder:
        lake, out = _lake(Path(folder), count), Path(folder) / "report.html"
        with _timed("write"):
            made = write_report(lake, "big", out, embed=count)
        print(f"{'size':28} {made['bytes']:,} bytes for {made['embedded']:,} trajectories")
        with sync_playwright() as playwright:
            path = shutil.which("chromium") or shutil.which("google-chrome")
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            _look(browser.new_page(viewport={"width": 1440, "height": 900}), out)
            browser.close()


def _lake(folder: Path, count: int) -> Lake:
    lake = open_lake(folder / "lake", create=True)
    with lake.write("bench") as batch:
        batch.add([the_run(1)])
        for rows in episodes(count, seed=1):
            batch.add(rows)
    filter_lake(lake, parse_recipe(RECIPE, "bench"))
    return lake


def _look(page: Page, out: Path) -> None:
    with _timed("open"):
        page.goto(out.as_uri())
        expect(page.get_by_role("navigation").get_by_role("link")).to_have_count(3)
    page.get_by_role("link", name="Trajectories").click()
    for label, words in (("first search of all texts", '"zen yar"'), ("next search", '"no such phrase"')):
        with _timed(label, less_s=TYPING_MS / 1000):
            page.get_by_label("search").fill(words)
            page.wait_for_timeout(TYPING_MS)
            expect(page.locator(".status").first).not_to_contain_text("so far", timeout=60_000)
    page.get_by_label("search").fill("")
    page.wait_for_timeout(3 * TYPING_MS)
    with _timed("filter"):
        page.get_by_label("error", exact=True).select_option("parse")
    with _timed("open a card"):
        page.locator(".row").locator("visible=true").nth(3).click()
        expect(page.locator(".card")).to_be_visible()
    heap = page.evaluate("performance.memory.usedJSHeapSize")
    print(f"{'memory of the scripts':28} {heap / 1e6:.0f} MB, every text read")


@contextmanager
def _timed(label: str, *, less_s: float = 0.0) -> Iterator[None]:
    started = time.perf_counter()
    yield
    print(f"{label:28} {time.perf_counter() - started - less_s:.2f} s")


if __name__ == "__main__":
    main()
