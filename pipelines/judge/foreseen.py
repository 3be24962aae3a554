"""What judging would take, before anything is asked: the answer to `--dry-run`.

Requests are written out as they would be sent, so that equal content is counted once and length is known. Not covered:
how this model's tokenizer counts, and what it thinks before it answers.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.judge.wanted import Known
from toolkit.agent.budget import Prices
from toolkit.judging.judge import Judge

TOKEN_CHARS = 4
WRITTEN, CALL_S = 150, 3.0
"""Assumed tokens written, and seconds, a call."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a call would do."""

    scorer: str
    trajectories: int
    judgements: int
    """On them, in all."""
    done: int
    """In the lake."""
    equal: int
    """Takes over the verdict on equal content."""
    begun: int
    """Answered in the journal."""
    calls: int
    """To be asked."""
    read: float
    """Tokens."""
    written: float
    hours: float
    cost_usd: float | None
    """None: prices are not known."""
    basis: str
    """Where the figures come from, in words."""


def foresee(known: Known, judge: Judge, begun: set[str], in_flight: int, prices: Prices | None) -> Forecast:
    """What judging would take; `begun` are the keys in the journal."""
    seen = set(known.answers())
    equal = replayed = calls = chars = 0
    for case in known.cases():
        key = judge.key(case)
        if key in seen:
            equal += 1
            continue
        seen.add(key)
        if key in begun:
            replayed += 1
            continue
        calls += 1
        chars += len(judge.rubric.text) + len(case.content)
    earlier, _, written = known.spent()
    each = written / earlier if earlier else WRITTEN
    source = f"the mean of {earlier:,} earlier calls" if earlier else "an assumption"
    read = chars / TOKEN_CHARS
    return Forecast(
        scorer=judge.scorer,
        trajectories=known.trajectories,
        judgements=known.total,
        done=known.done,
        equal=equal,
        begun=replayed,
        calls=calls,
        read=read,
        written=calls * each,
        hours=calls * CALL_S / 3600 / max(1, min(in_flight, calls)),
        cost_usd=prices.cost_usd(round(read), round(calls * each)) if prices else None,
        basis=(
            f"{TOKEN_CHARS} characters a token read, {each:,.0f} tokens written a call ({source}), {CALL_S:g} s a call"
        ),
    )
