"""Closed vocabularies of the tables: one word for one thing, in code, CLI and docs.

Each is a `Literal`, so that pydantic refuses an unknown word and the data dictionary can
list the known ones. Adding a word is a change of the format: raise `FORMAT_VERSION`.
"""

from __future__ import annotations

from typing import Literal

Domain = Literal["fact", "math", "other"]
"""How answers are compared: words (`fact`), mathematical equivalence (`math`), or not by us (`other`)."""

RunKind = Literal["import", "generate", "evaluate", "train", "review"]

TrajectoryKind = Literal["agent", "cot", "cot_rag"]
"""`agent`: thoughts, actions, observations. `cot`: chain of thought. `cot_rag`: with passages in the prompt."""

Role = Literal["teacher", "student"]

Source = Literal["generated", "imported", "edited"]

StopReason = Literal["final_answer", "max_steps", "error", "denied", "unknown"]
"""`unknown` is for imports whose record ends without saying why."""

ErrorKind = Literal["none", "parse", "execution", "timeout", "tool", "denied", "sandbox"]
"""Why a step failed, as the agent saw it in its observation; `none` if it did not."""

FinishReason = Literal["stop", "length", "error"]
"""Why the model stopped writing: of itself or at a stop string, at the token limit, or by a failure."""

CandidateStatus = Literal["ok", "parse_error", "execution_error", "timeout", "denied", "held", "sandbox_error"]
"""What became of a sampled action; `held`: it calls a `write` tool and runs only if it wins."""

SignatureRole = Literal["task", "actions", "code", "observations", "trajectory"]

ReviewVerdict = Literal["accepted", "rejected", "correct", "wrong", "unsure"]
"""`accepted`, `rejected` for a whole trajectory; `correct`, `wrong` for a step; `unsure` for both."""
