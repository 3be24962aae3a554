"""What a run leaves behind about itself: identity, settings, environment."""

from __future__ import annotations

import os
import platform
import socket
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from schemas import Run, RunKind
from schemas.identity import canonical_json, derive_id

_PACKAGES = (
    "trajectory-toolkit",
    "duckdb",
    "polars",
    "pyarrow",
    "math-verify",
    "torch",
    "transformers",
    "peft",
    "trl",
    "vllm",
    "chromadb",
)


def start_run(
    kind: RunKind,
    *,
    identity: dict[str, object],
    settings: dict[str, object],
    input_commit: int,
    source: str | None = None,
    license: str | None = None,
    sandbox_level: int | None = None,
) -> Run:
    """The row of a run that begins now; `sandbox_level` None: it runs no code."""
    started_at = datetime.now(UTC)
    identity_hash = derive_id("identity", identity)
    return Run(
        run_id=derive_id("run", identity_hash, started_at.isoformat(), socket.gethostname(), os.getpid()),
        kind=kind,
        identity=canonical_json(identity),
        identity_hash=identity_hash,
        settings=canonical_json(settings),
        environment=canonical_json({**environment(), "sandbox_level": sandbox_level}),
        input_commit=input_commit,
        source=source,
        license=license,
        started_at=started_at,
    )


def finished(run: Run) -> Run:
    """The same run, ended now."""
    return run.model_copy(update={"finished_at": datetime.now(UTC)})


def environment() -> dict[str, object]:
    """Versions and the kind of machine; nothing that identifies a person or a host."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
