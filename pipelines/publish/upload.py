"""From a checked directory to the Hub: what would change, and the commit that changes it.

Invariant: only files that differ are sent; files of a former publication that are gone are
removed, and nothing else in the repository is touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipelines.publish.configurations import DATA
from pipelines.publish.plots import PLOTS
from pipelines.publish.tables import LAKE
from toolkit.cli.output import note
from toolkit.errors import InputError, RunError
from toolkit.hub.repository import Remote, Repository, is_same

MAIN = "main"
_OURS = (f"{DATA}/", f"{LAKE}/", f"{PLOTS}/")
"""Folders that belong to publications alone."""


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one file."""

    path: str
    size_bytes: int
    state: str
    """`new`, `changed`, `unchanged` or `removed`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What uploading would do."""

    changes: list[Change]
    remote: Remote | None
    """None: there is no such repository yet, or it could not be asked."""

    def of(self, *states: str) -> list[Change]:
        """Changes in one of `states`."""
        return [change for change in self.changes if change.state in states]


def make_plan(repository: Repository, directory: Path, files: list[str], branch: str, *, public: bool) -> Plan:
    """Compare `files` below `directory` with the repository.

    Raises:
        InputError: the repository is public, and that was not asked for.
    """
    remote = repository.look(branch)
    if remote is None and branch != MAIN:
        # The branch will begin as a copy of main.
        remote = repository.look(MAIN)
    if remote is not None and not remote.private and not public:
        raise InputError(f"{repository.repo_id} is public: say --public, or publish under another name")
    return Plan(list_changes(remote, directory, files), remote)


def list_changes(remote: Remote | None, directory: Path, files: list[str]) -> list[Change]:
    """What would become of every file, ours and those of a former publication."""
    there = remote.files if remote else {}
    changes = []
    for path in sorted(files):
        file = directory / path
        state = "new" if path not in there else "unchanged" if is_same(file, there[path]) else "changed"
        changes.append(Change(path, file.stat().st_size, state))
    gone = sorted(path for path in there if path.startswith(_OURS) and path not in files)
    return changes + [Change(path, 0, "removed") for path in gone]


def upload(
    repository: Repository, directory: Path, files: list[str], branch: str, *, public: bool, message: str
) -> tuple[Plan, str]:
    """Create what is missing, send what differs and look whether it arrived; the plan and the commit.

    Raises:
        InputError: the token may not write there, or the repository is public against expectation.
        RunError: someone committed in between, the connection broke, or what arrived differs.
    """
    plan = make_plan(repository, directory, files, branch, public=public)
    remote = repository.look(branch)
    if remote is None:
        repository.create(private=not public)
        if branch != MAIN:
            repository.create_branch(branch)
        remote = repository.look(branch)
        assert remote is not None
        plan = Plan(list_changes(remote, directory, files), remote)
    send = {change.path: directory / change.path for change in plan.of("new", "changed")}
    remove = [change.path for change in plan.of("removed")]
    if not send and not remove:
        return plan, remote.commit
    note(f"uploading {len(send)} of {len(files)} files, {sum(path.stat().st_size for path in send.values()):,} bytes")
    commit = repository.commit(send, remove, message=message, parent=remote.commit, revision=branch)
    _verify(repository, directory, files, commit)
    return plan, commit


def _verify(repository: Repository, directory: Path, files: list[str], commit: str) -> None:
    arrived = repository.look(commit)
    if arrived is None:
        raise RunError(f"{repository.repo_id} does not show the commit {commit} that it made")
    wrong = [path for path in files if path not in arrived.files or not is_same(directory / path, arrived.files[path])]
    if wrong:
        raise RunError(f"{repository.repo_id} holds other content than was sent for {', '.join(wrong[:5])}; run again")
