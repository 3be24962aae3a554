"""What a run would do and spend, before it asks anything: the answer to `--dry-run`.

Rollouts are counted by what the lake and the journal hold of them. Tokens and time a rollout come from finished ones
of the same identity, else of the same model, else from an assumption that is printed as one. Invariant: nothing is
written and no model is asked. Not covered: that begun rollouts cost less than new ones; they count in full.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from schemas import Task
from toolkit.agent.budget import Prices
from toolkit.agent.known import Retry, load_known
from toolkit.agent.setup import Setup
from toolkit.lake.lake import Lake

CALLS = {"agent": 3, "cot": 1, "cot_rag": 1}
"""Assumed calls of a model, a rollout."""
READ, WRITTEN, CALL_S = 1_500, 150, 4.0
"""Assumed tokens read and written, and seconds, a call."""
_MEANS = """
SELECT count(*) FILTER (kind = ?) AS rollouts, sum(prompt_tokens), sum(completion_tokens), sum(latency_ms)
FROM trajectories WHERE stop_reason <> 'error' AND source = 'generated' AND {which}"""
_SAME = {
    "of the same settings": "run_id IN (SELECT run_id FROM runs WHERE identity_hash = ?)",
    "of the same model": "model_id = ?",
}


@dataclass(frozen=True, slots=True)
class Usual:
    """What one rollout takes, its chain of thought included."""

    basis: str
    """Where the figures come from, in words."""
    read: float
    written: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run would do."""

    done: int
    """Rollouts that the lake holds."""
    left: int
    """Failed ones that would not be tried again."""
    to_retry: int
    begun: int
    """Rollouts that the journal holds answers of."""
    new: int
    basis: str
    read: float
    """Tokens."""
    written: float
    hours: float
    cost_usd: float | None
    """None: prices are not known."""


def forecast(
    lake: Lake | None,
    setup: Setup,
    tasks: Iterable[Task],
    *,
    samples: int,
    retry: Retry,
    begun: Collection[str],
    in_flight: int,
    prices: Prices | None,
) -> Forecast:
    """What a run over `tasks` would do; `begun` are the trajectories in the journal, `lake` None: there is none."""
    known = load_known(lake, setup) if lake else None
    states: Counter[str] = Counter()
    for task in tasks:
        for sample_index in range(samples):
            trajectory_id = setup.trajectory_id(task.task_id, sample_index)
            if known and known.is_done(trajectory_id):
                states["done"] += 1
            elif known and known.is_left(trajectory_id, retry):
                states["left"] += 1
            elif known and trajectory_id in known.attempts:
                states["to_retry"] += 1
            else:
                states["begun" if trajectory_id in begun else "new"] += 1
    to_run = states["to_retry"] + states["begun"] + states["new"]
    usual = (_measured(lake, setup) if lake else None) or _assumed(setup)
    read, written = to_run * usual.read, to_run * usual.written
    return Forecast(
        **{name: states[name] for name in ("done", "left", "to_retry", "begun", "new")},
        basis=usual.basis,
        read=read,
        written=written,
        hours=to_run * usual.seconds / 3600 / max(1, min(in_flight, to_run)),
        cost_usd=prices.cost_usd(round(read), round(written)) if prices else None,
    )


def _measured(lake: Lake, setup: Setup) -> Usual | None:
    connection = lake.snapshot().connect()
    try:
        for words, which in _SAME.items():
            value = setup.identity_hash if "identity_hash" in which else setup.model_row.model_id
            rows = connection.execute(_MEANS.format(which=which), [setup.kind, value]).fetchall()
            rollouts, read, written, latency_ms = rows[0]
            if rollouts and None not in (read, written, latency_ms):
                basis = f"the mean of {rollouts:,} finished rollouts {words}"
                seconds = latency_ms / 1000 / rollouts
                return Usual(basis, float(read) / rollouts, float(written) / rollouts, seconds)
    finally:
        connection.close()
    return None


def _assumed(setup: Setup) -> Usual:
    calls = CALLS[setup.kind] + (1 if setup.first_thoughts else 0)
    basis = (
        f"an assumption, since no rollout of this model has finished here: {calls} calls a rollout, "
        f"each {READ:,} tokens read, {WRITTEN} written, {CALL_S:g} s"
    )
    return Usual(basis, calls * READ, calls * WRITTEN, calls * CALL_S)
