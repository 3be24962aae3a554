"""Pages to test: lakes with trajectories that mean harm, and what a written page holds."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

from episodes import episode

from pipelines.filter import Filtered, filter_lake
from pipelines.recipe import parse_recipe
from toolkit.api import Lake
from toolkit.formats.parsed import ParsedCall, ParsedStep, ParsedTrajectory

SENTINEL = "pwned7391"
HOSTILE = (
    f"<script>{SENTINEL}()</script>",
    f"</script><script>{SENTINEL}()</script>",
    f"<img src=x onerror={SENTINEL}()>",
    f"<svg/onload={SENTINEL}()>",
    f"<!-- <script> {SENTINEL}",
    f"]]></style></textarea></title>{SENTINEL}",
    f"{{{{ {SENTINEL} }}}} ${{{SENTINEL}}}",
    f"javascript:{SENTINEL}()",
    f"\u202e{SENTINEL} desrever\u202c",
    f"\x1b[31m{SENTINEL}\x1b[0m\x1b]8;;http://x\x07",
    f"nul\x00 and bell\x07 {SENTINEL}",
    f"tags \U000e0041\U000e0042 zero\u200bwidth {SENTINEL}",
    f"{SENTINEL} " + "x" * 300_000,
    f"\u2028{SENTINEL}\u2029",
    f"<a href='https://example.com/{SENTINEL}'>click</a>",
)


def hostile_episode(text: str) -> ParsedTrajectory:
    """`text` in every place where a trajectory has text."""
    acting = ParsedStep(
        completion=text,
        thought=text,
        code=text,
        observation=text,
        error_kind="execution",
        error=text,
        tool_calls=[ParsedCall(name=text, arguments=json.dumps({"query": text}), error=text)],
    )
    unparsed = ParsedStep(completion=text, observation=text, error_kind="parse", error=text)
    return ParsedTrajectory(
        question=text,
        steps=[acting, unparsed, ParsedStep(completion="done", is_final=True)],
        dialect=f"react-text{text[:40]}",
        system_prompt=text,
        answers=[text, "other"],
        final_answer=text,
        stop_reason="final_answer",
    )


def mixed() -> list[ParsedTrajectory]:
    """Twelve episodes: right, wrong and repeated ones, with and without failing steps."""
    right = [episode(f"right {index}", searches=index + 1, failing=index % 2, reward=1.0) for index in range(5)]
    wrong = [episode(f"wrong {index}", "no", searches=index, failing=2, reward=0.0) for index in range(4)]
    return [*right, *wrong, right[0], right[1], episode("open", None, reward=None)]


def select(lake: Lake, *steps: str) -> Filtered:
    text = "name: v1\nsteps:\n" + "\n".join(f"  - {step}" for step in steps)
    return filter_lake(lake, parse_recipe(text, "r"))


def unpacked(page: Path, name: str) -> Any:
    """A part of a written page as Python's own gzip and base64 read it."""
    found = re.search(rf'id="part-{name}">([^<]*)</script>', page.read_text(encoding="utf-8"))
    assert found, f"the page has no part {name}"
    return json.loads(gzip.decompress(base64.b64decode(found[1])))


def cards(page: Path) -> list[dict[str, Any]]:
    """All cards of a page in the order of its index, with their system prompts filled in."""
    found = []
    for start in unpacked(page, "overview")["part_starts"]:
        part = unpacked(page, f"cards-{start}")
        assert len(found) == start
        for card in part["cards"]:
            found.append({**card, "prompt": part["prompts"][card["prompt"]]} if "prompt" in card else card)
    return found
