"""One repository on the Hub: look, create, commit, tag, download; every refusal explained.

Invariant: a commit names the commit that it builds on, so that nobody's work is overwritten
unseen. A file that is there already is never sent again: unchanged files are left out by
their hash, and what an interrupted upload finished is known to the Hub.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from toolkit.errors import InputError, MissingExtraError, RunError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Kind = Literal["dataset", "model"]
BUSY_TRIES = 4
BUSY_WAIT_S = 1.0
"""First wait after a 409 (another commit is being made); doubled each time."""
_KEPT = {
    "committed to": "; what was uploaded whole is not sent again",
    "read": "; what was fetched whole is not fetched again",
}
"""What the same command need not do again after the connection broke."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A revision of a repository."""

    commit: str
    files: dict[str, str]
    """Identity of each file by path: sha256 of large files, git's blob id of others."""
    private: bool


class Repository:
    """A dataset or model repository; the endpoint is `HF_ENDPOINT` or the Hub, the token the usual one."""

    def __init__(self, repo_id: str, kind: Kind = "dataset") -> None:
        self.repo_id, self.kind = repo_id, kind
        self._api = _api()
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils._validators import validate_repo_id

        try:
            validate_repo_id(repo_id)
        except HFValidationError as error:
            raise InputError(f"{repo_id!r} is no name of a repository: {error}") from error
        if repo_id.count("/") != 1:
            raise InputError(f"expected ORG/NAME, got {repo_id!r}")

    @property
    def url(self) -> str:
        """Where a person finds it."""
        return f"{self._api.endpoint}/{'datasets/' if self.kind == 'dataset' else ''}{self.repo_id}"

    def look(self, revision: str | None = None) -> Remote | None:
        """What is there at `revision` (default: main); None where there is no such repository or revision."""
        from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

        with self._explained("looked at"):
            try:
                info = self._api.repo_info(self.repo_id, revision=revision, repo_type=self.kind)
                commit = info.sha
                assert commit is not None
                tree = self._api.list_repo_tree(self.repo_id, recursive=True, revision=commit, repo_type=self.kind)
                files = {entry.path: _identity(entry) for entry in tree if hasattr(entry, "blob_id")}
            except (RepositoryNotFoundError, RevisionNotFoundError):
                return None
        return Remote(commit, files, bool(info.private))

    def create(self, *, private: bool) -> None:
        """Make the repository; one that is there stays as it is, its visibility included."""
        with self._explained("created"):
            self._api.create_repo(self.repo_id, private=private, repo_type=self.kind, exist_ok=True)

    def create_branch(self, name: str) -> None:
        """Make a branch of main; one that is there stays as it is."""
        with self._explained("given a branch"):
            self._api.create_branch(self.repo_id, branch=name, repo_type=self.kind, exist_ok=True)

    def commit(
        self, added: Mapping[str, Path], removed: Sequence[str], *, message: str, parent: str, revision: str
    ) -> str:
        """Upload and commit; the new commit. Waits while another commit is being made.

        Raises:
            RunError: someone committed after `parent`, the connection broke, or the Hub refused.
        """
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        for number in range(1, BUSY_TRIES + 1):
            # New ones each time: they carry what was found out about the upload.
            operations: list[CommitOperationAdd | CommitOperationDelete] = [
                CommitOperationAdd(path_in_repo=path, path_or_fileobj=str(file)) for path, file in added.items()
            ]
            operations += [CommitOperationDelete(path_in_repo=path) for path in removed]
            try:
                with self._explained("committed to"):
                    return self._api.create_commit(
                        self.repo_id,
                        operations,
                        commit_message=message,
                        repo_type=self.kind,
                        revision=revision,
                        parent_commit=parent,
                    ).oid
            except _BusyError as error:
                if number == BUSY_TRIES:
                    raise RunError(
                        f"{self.repo_id} is busy with another commit; the same command goes on from here"
                    ) from error
                time.sleep(BUSY_WAIT_S * 2 ** (number - 1))
        raise AssertionError("unreachable")

    def tag(self, name: str, commit: str) -> None:
        """Name `commit`.

        Raises:
            InputError: the tag names another commit.
        """
        with self._explained("tagged"):
            refs = self._api.list_repo_refs(self.repo_id, repo_type=self.kind)
            there = {ref.name: ref.target_commit for ref in refs.tags}
            if there.get(name, commit) != commit:
                raise InputError(f"{self.repo_id} has a tag {name!r} on another commit, {there[name][:12]}")
            self._api.create_tag(self.repo_id, tag=name, revision=commit, repo_type=self.kind, exist_ok=True)

    def download(self, path: str, commit: str) -> Path:
        """The file `path` of `commit`, in the Hub's own cache; what is there is not fetched again.

        Raises:
            InputError: the commit has no such file.
        """
        with self._explained("read"):
            return Path(self._api.hf_hub_download(self.repo_id, path, repo_type=self.kind, revision=commit))

    @contextmanager
    def _explained(self, done: str) -> Iterator[None]:
        """Translates what the client raises; `done` completes "ORG/NAME could not be …"."""
        import httpx2
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RemoteEntryNotFoundError

        try:
            yield
        except RemoteEntryNotFoundError as error:
            raise InputError(f"{self.repo_id} could not be {done}: it has no such file: {error.request.url}") from error
        except HfHubHTTPError as error:
            raise self._refused(done, error.response.status_code, error) from error
        except (httpx2.HTTPError, ConnectionError, LocalEntryNotFoundError) as error:
            raise RunError(f"{self.repo_id} could not be {done}: {_brief(error)}{_KEPT.get(done, '')}") from error
        except (ValueError, RuntimeError) as error:
            # The client wraps what broke an upload, and refuses a card whose header does not validate.
            raise self._unwrapped(done, error) from error

    def _unwrapped(self, done: str, error: Exception) -> Exception:
        from huggingface_hub.errors import HfHubHTTPError

        cause = error.__cause__
        if isinstance(cause, HfHubHTTPError):
            return self._refused(done, cause.response.status_code, cause)
        return RunError(f"{self.repo_id} could not be {done}: {_brief(cause or error)}{_KEPT.get(done, '')}")

    def _refused(self, done: str, status: int, error: Exception) -> Exception:
        place = f"{self.repo_id} could not be {done}"
        if status == 401:
            return InputError(f"{place}: the Hub does not accept the token; set HF_TOKEN or run `hf auth login`")
        if status == 403:
            return InputError(f"{place}: the token may not write there; it needs the role `write` for this namespace")
        if status == 404:
            return InputError(f"{place}: it is not there, or the token may not see it")
        if status == 409:
            return _BusyError(f"{place}: another commit is being made")
        if status == 412:
            return RunError(f"{place}: someone else committed in between; run again to see what has changed")
        return RunError(f"{place}: the Hub answered {status}: {_brief(error)}")


class _BusyError(RunError):
    """The Hub is making another commit of this repository."""


def missing(repository: Repository, revision: str | None) -> InputError:
    """The error that there is no such repository or revision, or that the token may not see it."""
    at = f" with a revision {revision!r}" if revision else ""
    return InputError(
        f"there is no {repository.kind} {repository.repo_id}{at} at {repository.url}, or it is private and the token"
        " may not see it: set HF_TOKEN or run `hf auth login`"
    )


def _api() -> HfApi:
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise MissingExtraError("huggingface_hub", "hub", "the Hugging Face Hub") from error
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="trajectory-toolkit")


def _identity(entry: object) -> str:
    lfs = getattr(entry, "lfs", None)
    return str(lfs.sha256 if lfs else entry.blob_id)  # type: ignore[attr-defined]


def _brief(error: BaseException) -> str:
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def is_same(path: Path, identity: str) -> bool:
    """Whether the file at `path` has a Remote's `identity`."""
    if len(identity) == 64:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == identity
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == identity
