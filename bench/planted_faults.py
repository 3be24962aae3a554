"""Faults planted in trajectories of a lake, one each: how many of them does their process signal see?

    python -m bench.planted_faults --lake lake --dataset fireact_hotpotqa

For search episodes whose record states the calls. Planted are: the query of another trajectory; an earlier call made
again; another trajectory's search, with its result, before the last step; another trajectory's answer. Seeded; nothing
is written. `faulted before` counts the trajectories that the signal faults as they are: real faults and false alarms.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

from schemas import Step, ToolCall
from toolkit.lake.lake import open_lake
from toolkit.lake.literal import literal
from toolkit.lake.records import TrajectoryRecord, read_records
from toolkit.process.episode import Episode
from toolkit.process.signals import SIGNALS

Planted = TrajectoryRecord | None
"""None: the fault does not fit this trajectory."""


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lake", type=Path, required=True)
    parser.add_argument("--dataset", required=True)
    options = parser.parse_args()
    chosen = f"SELECT trajectory_id FROM trajectories WHERE dataset = {literal(options.dataset)} AND n_tool_calls > 0"
    records = list(read_records(open_lake(options.lake).snapshot().connect(), chosen))
    print(f"{'signal':20} {'planted':>8} {'seen':>6} {'share':>7} {'faulted before':>15}")
    for signal, plant in PLANTS.items():
        random = Random(signal)
        pairs = [(record, plant(record, random.choice(records), random)) for record in records]
        planted = [(before, after) for before, after in pairs if after is not None]
        seen = sum(_faulted(signal, after) > _faulted(signal, before) for before, after in planted)
        before = sum(_faulted(signal, record) > 0 for record in records)
        print(f"{signal:20} {len(planted):8,} {seen:6,} {seen / max(len(planted), 1):7.1%} {before:15,}")


def another_query(record: TrajectoryRecord, other: TrajectoryRecord, random: Random) -> Planted:
    """One search asks what `other` asked."""
    if other.trajectory.task_id == record.trajectory.task_id:
        return None
    chosen, foreign = random.choice(record.tool_calls), random.choice(other.tool_calls).arguments
    calls = [call.model_copy(update={"arguments": foreign}) if call is chosen else call for call in record.tool_calls]
    return replace(record, tool_calls=calls)


def call_again(record: TrajectoryRecord, _: TrajectoryRecord, random: Random) -> Planted:
    """The last step makes an earlier call once more."""
    sound = [call for call in record.tool_calls if call.error is None]
    if not sound:
        return None
    return replace(record, tool_calls=[*record.tool_calls, _at(random.choice(sound), len(record.steps) - 1)])


def foreign_search(record: TrajectoryRecord, other: TrajectoryRecord, random: Random) -> Planted:
    """Before the last step stands a whole search step of `other`."""
    call = random.choice(other.tool_calls)
    if other.trajectory.task_id == record.trajectory.task_id or call.result is None:
        return None
    last = len(record.steps) - 1
    *earlier, final = record.steps
    steps: list[Step] = [*earlier, _moved(other.steps[call.step_index], last), _moved(final, last + 1)]
    calls = [_at(one, last + 1) if one.step_index == last else one for one in record.tool_calls]
    return replace(record, steps=steps, tool_calls=[*calls, _at(call, last)])


def another_answer(record: TrajectoryRecord, other: TrajectoryRecord, _: Random) -> Planted:
    """The answer is that of `other`."""
    if other.trajectory.final_answer in (None, record.trajectory.final_answer):
        return None
    answer = other.trajectory.final_answer
    return replace(record, trajectory=record.trajectory.model_copy(update={"final_answer": answer}))


PLANTS: dict[str, Callable[[TrajectoryRecord, TrajectoryRecord, Random], Planted]] = {
    "thought_mismatch": another_query,
    "repeated_calls": call_again,
    "unused_retrieval": foreign_search,
    "grounded": another_answer,
}
"""By the signal that should see it."""


def _faulted(signal: str, record: TrajectoryRecord) -> int:
    verdicts = SIGNALS[signal].verdicts(Episode(record))
    return sum(found.step_index is not None and found.passed is False for found in verdicts)


def _at(call: ToolCall, step_index: int) -> ToolCall:
    return call.model_copy(update={"step_index": step_index, "ordinal": 99})


def _moved(step: Step, step_index: int) -> Step:
    return step.model_copy(update={"step_index": step_index})


if __name__ == "__main__":
    main()
