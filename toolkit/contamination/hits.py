"""What a scan finds: which benchmark question, in which of three ways, where, and what stands there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["task", "answer", "passage"]
"""`task`: the question itself was put to the agent, or quoted by it. `answer`: its gold answer stands
in the agent's own words, with enough of the question or, if it is telling, alone (a `mention`). `passage`: question or
answer stands only in what the agent was shown."""
Place = Literal["question", "thought", "code", "completion", "final_answer", "observation"]
Match = Literal["exact", "near", "ngram", "answer", "mention"]

QUOTED_CHARS = 300
"""Characters of the overlapping text that a hit quotes; its offsets are those of the whole."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One text of a trajectory."""

    place: Place
    text: str
    step_index: int | None = None
    """None: the text is the trajectory's."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One benchmark question found in one trajectory; of several findings the strongest."""

    benchmark: str
    question_id: str
    kind: Kind
    match: Match
    """`exact`: equal but for typography; `near`: alike by shingles; `ngram`: a run of words; `answer`: a gold answer
    with enough of its question; `mention`: one that stands alone, but hardly by chance."""
    segment: Segment
    start: int
    """First character of the overlap in the segment's text."""
    end: int
    """The character behind its last."""
    measure: float
    """`exact`: 1; `near`: Jaccard similarity; `ngram`: words that the run weighs; `answer`: share of the question;
    `mention`: surprise of the answer in nats."""
    answer: str | None = None
    """The gold answer that was found. None: the question itself was."""

    @property
    def text(self) -> str:
        """The overlapping text, cut to `QUOTED_CHARS`."""
        found = self.segment.text[self.start : self.end]
        return found if len(found) <= QUOTED_CHARS else found[: QUOTED_CHARS - 1] + "…"

    def as_json(self) -> dict[str, object]:
        """For a decision's evidence."""
        said: dict[str, object] = {
            "benchmark": self.benchmark,
            "id": self.question_id,
            "kind": self.kind,
            "match": self.match,
            "measure": round(self.measure, 3),
            "place": self.segment.place,
        }
        if self.segment.step_index is not None:
            said["step_index"] = self.segment.step_index
        said |= {"start": self.start, "end": self.end, "text": self.text}
        return said if self.answer is None else {**said, "answer": self.answer}
