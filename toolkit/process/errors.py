"""Did the agent get over its errors?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from toolkit.contracts import Verdict
from toolkit.process.episode import Episode, excerpt


def unrecovered_errors(episode: Episode) -> Iterator[Verdict]:
    """Failed steps that no later step made good.

    A step fails by its `error_kind`: parse, execution, timeout, tool, denied, sandbox. It is recovered if a later step
    did not fail; that step need not do the same. Value: failed steps without recovery; the details count all failed
    steps by kind. Each failed step has a verdict; its value is the number of steps until the recovery.
    Does not count: errors that code caught itself, observations that only read like an error.
    """
    sound = [action.step.step_index for action in episode.actions if action.step.error_kind == "none"]
    kinds: Counter[str] = Counter()
    lost = 0
    for action in episode.actions:
        step = action.step
        if step.error_kind == "none":
            continue
        kinds[step.error_kind] += 1
        recovery = next((index for index in sound if index > step.step_index), None)
        lost += recovery is None
        yield Verdict(
            float(recovery - step.step_index) if recovery is not None else None,
            recovery is not None,
            step.step_index,
            {"kind": step.error_kind, "error": excerpt(step.error or ""), "recovered_at": recovery},
        )
    yield Verdict(float(lost), lost == 0, details={"failed": dict(kinds)} if kinds else {})
