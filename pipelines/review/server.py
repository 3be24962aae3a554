"""The project on a Label Studio server, through its own client; failures explained where they enter.

Invariant: what adds tasks is sent once and never again by itself: a request whose answer got lost may have been carried
out, so whoever goes on looks first at what is there. Not covered: two pushes into one project at the same time.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import orjson

from pipelines.review.layout import layout, same_layout
from pipelines.review.predictions import MODEL_VERSION
from toolkit.errors import InputError, MissingExtraError, RunError, ToolkitError

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

URL_VARIABLE, TOKEN_VARIABLE = "LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY"
TIMEOUT_S = 600.0
"""For one request; an export of a large project is made before its first byte is sent."""
BODY_CHARS = 300
"""Of what the server says about a failure."""

_ABOUT = "Trajectories of an agent, put here by `toolkit review push`; leave the next line as it is.\nlake {}"
_LAKE = re.compile(r"^lake ([0-9a-f]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Project:
    """A project of ours."""

    id: int
    title: str


class ReviewServer:
    """A Label Studio server, as one user sees it; a context manager, which closes its connections.

    Raises:
        MissingExtraError: the extra `review` is not installed.
        InputError: the token is no token any more.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        make_client = _client_class()
        import httpx

        self._connections = httpx.Client(timeout=TIMEOUT_S, follow_redirects=True)
        try:
            with self._explained():
                self._client: LabelStudio = make_client(
                    base_url=self.url, api_key=token, httpx_client=self._connections
                )
        except ToolkitError:
            self._connections.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._connections.close()

    def find(self, title: str, lake_id: str) -> Project | None:
        """The project called `title`, if there is one.

        Raises:
            InputError: it belongs to another lake or to somebody else, its page is another one, or there are several.
        """
        with self._explained():
            # The server's own search takes a part of the title for the title.
            alike: Iterator[Any] = iter(self._client.projects.list(title=title, page_size=100))
            found = [each for each in alike if each.title == title]
        if not found:
            return None
        place = f"the project {title!r} on {self.url}"
        if len(found) > 1:
            raise InputError(f"{place} is there {len(found)} times; rename all but one, or choose another --project")
        with self._explained():
            project: Any = self._client.projects.get(found[0].id)
        owner = _LAKE.search(project.description or "")
        if owner is None:
            raise InputError(f"{place} was not made by `toolkit review push`; choose another --project")
        if owner[1] != lake_id:
            raise InputError(f"{place} is for the lake {owner[1]}, this lake is {lake_id}; choose another --project")
        if not same_layout(project.label_config or "", layout()):
            raise InputError(
                f"{place} has another labelling page, changed by hand or made by another version of the toolkit;"
                " answers on it could not be read back. Choose another --project"
            )
        return Project(project.id, title)

    def need(self, title: str, lake_id: str) -> Project:
        """The project called `title`.

        Raises:
            InputError: there is none, or as `find`.
        """
        project = self.find(title, lake_id)
        if project is None:
            raise InputError(f"there is no project {title!r} on {self.url}; `toolkit review push` makes it")
        return project

    def create(self, title: str, lake_id: str) -> Project:
        """A new project with the labelling page, whose answers are filled in from predictions."""
        with self._explained():
            made: Any = self._client.projects.create(
                title=title,
                description=_ABOUT.format(lake_id),
                label_config=layout(),
                show_collab_predictions=True,
                model_version=MODEL_VERSION,
                # Agreement needs several words on one trajectory.
                maximum_annotations=2,
                request_options={"max_retries": 0},
            )
        if not isinstance(made.id, int):
            raise _explain(self.url, 200, "it named no project that it had made")
        return Project(made.id, title)

    def tasks(self, project: Project) -> list[dict[str, Any]]:
        """All tasks with their annotations, as the server exports them."""
        with self._explained():
            chunks = self._client.projects.exports.download_sync(
                project.id, export_type="JSON", download_all_tasks=True, request_options={"chunk_size": 1 << 20}
            )
            content = b"".join(chunks)
        try:
            tasks = orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise RunError(f"{self.url} sent an export that is not JSON: {error}") from error
        if not isinstance(tasks, list):
            raise RunError(f"{self.url} sent an export that is no list of tasks but a {type(tasks).__name__}")
        return tasks

    def add(self, project: Project, tasks: Sequence[dict[str, Any]]) -> None:
        """Add tasks, all of them or none."""
        with self._explained():
            request: Any = tasks
            self._client.projects.import_tasks(project.id, request=request, request_options={"max_retries": 0})

    def people(self) -> dict[int, str]:
        """Addresses of the users by their number; names of those without one."""
        with self._explained():
            return {user.id: user.email or user.username for user in self._client.users.list()}

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """A block in which the client's exceptions become ours."""
        import httpx
        from label_studio_sdk.core.api_error import ApiError

        try:
            # The client's own modules, loaded at first use, warn of what they themselves do.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except ApiError as error:
            raise _explain(self.url, error.status_code, error.body) from error
        except (AttributeError, TypeError) as error:
            # The client takes any JSON for what it asked for, until it looks for something in it.
            raise _explain(self.url, 200, f"{type(error).__name__}: {error}") from error
        except httpx.InvalidURL as error:
            raise InputError(f"{URL_VARIABLE} is not the address of a server: {self.url}: {error}") from error
        except httpx.UnsupportedProtocol as error:
            raise InputError(f"{URL_VARIABLE} must begin with http:// or https://, got {self.url}") from error
        except httpx.ConnectError as error:
            raise RunError(f"{self.url} cannot be reached ({error}); is Label Studio running there?") from error
        except httpx.HTTPError as error:
            kind = type(error).__name__
            raise RunError(
                f"{self.url} broke off or gave no answer ({kind}: {error}); run the same command again"
            ) from error


def connect() -> ReviewServer:
    """The server that the environment names.

    Raises:
        InputError: a variable is missing or cannot be right.
        MissingExtraError: the extra `review` is not installed.
    """
    missing = [name for name in (URL_VARIABLE, TOKEN_VARIABLE) if not os.environ.get(name)]
    if missing:
        raise InputError(
            f"{' and '.join(missing)} must be set: the address of Label Studio, and a token from its page Account &"
            " Settings (a personal access token or a legacy token)"
        )
    url, token = os.environ[URL_VARIABLE].strip(), os.environ[TOKEN_VARIABLE].strip()
    if "@" in url:
        # The lake names the server from which words came, and what it says is published.
        raise InputError(f"{URL_VARIABLE} must be an address without a name or password; the token says who asks")
    if not (token.isascii() and token.isprintable()):
        raise InputError(f"{TOKEN_VARIABLE} holds characters that no token has")
    return ReviewServer(url, token)


def _client_class() -> Callable[..., LabelStudio]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from label_studio_sdk import LabelStudio
    except ImportError as error:
        raise MissingExtraError("label-studio-sdk", "review", "review") from error
    return LabelStudio


def _explain(url: str, status: int | None, body: object) -> ToolkitError:
    said = " ".join(str(_detail(body)).split())[:BODY_CHARS]
    if status == 401:
        return InputError(
            f"{url} refuses the token in {TOKEN_VARIABLE} ({said}). Take a new one from Account & Settings; a legacy"
            " token works only where the organization allows them, a personal access token everywhere"
        )
    if status == 403:
        return InputError(f"{url} does not allow this to the user of the token in {TOKEN_VARIABLE} ({said})")
    if status == 404:
        return InputError(f"{url} knows no such address; is {URL_VARIABLE} that of Label Studio itself? ({said})")
    if status is not None and status >= 500:
        return RunError(f"{url} failed with status {status} ({said}); look at its log, then run the same command again")
    if status is not None and status < 400:
        return InputError(f"{url} does not answer as Label Studio does; is {URL_VARIABLE} right? ({said})")
    return InputError(f"{url} refused the request with status {status}: {said}")


def _detail(body: object) -> object:
    if isinstance(body, dict):
        parts = [body.get("detail"), body.get("validation_errors")]
        return "; ".join(str(part) for part in parts if part) or body
    return body
