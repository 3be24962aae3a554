"""The facts of a lake as typed rows, and their Arrow schemas.

Imports only the standard library, pydantic and pyarrow, so that any program can read the
tables without the rest of the toolkit.
"""

from schemas.curation import Decision, Review, Score, Selection, Signature, StepWeight
from schemas.rollouts import Candidate, Model, Prompt, Run, Step, Task, ToolCall, Trajectory
from schemas.row import Row
from schemas.tables import FORMAT_VERSION, TABLES, Table
from schemas.vocabulary import (
    CandidateStatus,
    Domain,
    ErrorKind,
    FinishReason,
    ReviewVerdict,
    Role,
    RunKind,
    SignatureRole,
    Source,
    StopReason,
    TrajectoryKind,
)

__all__ = [
    "FORMAT_VERSION",
    "TABLES",
    "Candidate",
    "CandidateStatus",
    "Decision",
    "Domain",
    "ErrorKind",
    "FinishReason",
    "Model",
    "Prompt",
    "Review",
    "ReviewVerdict",
    "Role",
    "Row",
    "Run",
    "RunKind",
    "Score",
    "Selection",
    "Signature",
    "SignatureRole",
    "Source",
    "Step",
    "StepWeight",
    "StopReason",
    "Table",
    "Task",
    "ToolCall",
    "Trajectory",
    "TrajectoryKind",
]
