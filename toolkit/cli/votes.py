"""How the vote of a step went, for reading: in one line, or candidate by candidate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import orjson
from rich.box import SIMPLE_HEAD
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from schemas import Candidate
from toolkit.cli.output import clean

OUTCOME_CHARS = 100


def vote_line(candidates: Sequence[Candidate]) -> Text:
    """Number of candidates, sizes of the groups that agree, failures, who was chosen."""
    groups = Counter(candidate.outcome_key for candidate in candidates if candidate.outcome_key is not None)
    failed = len(candidates) - groups.total()
    sizes = ", ".join(str(size) for _, size in groups.most_common())
    chosen = next(candidate for candidate in candidates if candidate.chosen)
    parts = [f"{len(candidates)} candidates"]
    parts += [f"votes {sizes}"] if sizes else []
    parts += [f"{failed} failed"] if failed else []
    return Text(" · ".join([*parts, f"number {chosen.candidate_index} chosen"]), "dim")


def vote_table(candidates: Sequence[Candidate]) -> Padding:
    """One row a candidate: votes, status and the first line of what it came to."""
    table = Table(box=SIMPLE_HEAD, header_style="dim", pad_edge=False)
    table.add_column("candidate", justify="right")
    table.add_column("votes", justify="right")
    table.add_column("status")
    table.add_column("outcome")
    for candidate in candidates:
        table.add_row(
            str(candidate.candidate_index),
            str(candidate.votes),
            candidate.status.replace("_", " "),
            Text(clean(_outcome(candidate))),
            style="bold" if candidate.chosen else "dim",
        )
    return Padding(table, (0, 0, 0, 4))


def _outcome(candidate: Candidate) -> str:
    if candidate.status == "held" and candidate.outcome_key is not None:
        name, arguments = orjson.loads(candidate.outcome_key)["calls"][-1]
        text = f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"
    elif candidate.error is not None:
        text = candidate.error
    elif candidate.final_answer is not None:
        text = f"final answer: {candidate.final_answer}"
    else:
        text = candidate.observation or ""
    line = next(iter(text.strip().splitlines()), "")
    return line if len(line) <= OUTCOME_CHARS else f"{line[: OUTCOME_CHARS - 1]}…"
