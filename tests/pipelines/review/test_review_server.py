import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipelines.review.server import ReviewServer, connect
from toolkit.errors import InputError, RunError, ToolkitError

LAKE = "f" * 24
TOKEN = "0123456789abcdef0123456789abcdef01234567"


class Answers(BaseHTTPRequestHandler):
    """Answers every request as the server's `answer` says; None hangs up."""

    def do_GET(self) -> None:
        status, kind, body = self.server.answer or (0, "", b"")  # type: ignore[attr-defined]
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        if not status:
            return
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def odd_server() -> Iterator[ThreadingHTTPServer]:
    """A server that is not Label Studio, or ails."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.asked = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("answer", "kind", "finding"),
    [
        ((500, "application/json", b'{"detail": "disk is full"}'), RunError, "failed with status 500 (disk is full)"),
        ((403, "application/json", b'{"detail": "no"}'), InputError, "does not allow this to the user of the token"),
        ((200, "text/html", b"<html>Welcome</html>"), InputError, "does not answer as Label Studio does"),
        ((200, "application/json", b"[]"), InputError, "does not answer as Label Studio does"),
        (None, RunError, "broke off or gave no answer"),
    ],
)
def test_an_odd_answer_is_explained(
    odd_server: ThreadingHTTPServer,
    answer: tuple[int, str, bytes] | None,
    kind: type[ToolkitError],
    finding: str,
) -> None:
    odd_server.answer = answer  # type: ignore[attr-defined]
    url = f"http://127.0.0.1:{odd_server.server_port}"
    with pytest.raises(kind) as caught, ReviewServer(url, TOKEN) as client:
        client.find("title", LAKE)
    assert url in str(caught.value)
    assert finding in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_an_answer_that_names_no_project_is_explained(odd_server: ThreadingHTTPServer) -> None:
    odd_server.answer = (200, "application/json", b'{"detail": "hello"}')  # type: ignore[attr-defined]
    with (
        ReviewServer(f"http://127.0.0.1:{odd_server.server_port}", TOKEN) as client,
        pytest.raises(InputError, match="does not answer as Label Studio does"),
    ):
        client.create("title", LAKE)


def test_a_request_that_adds_is_sent_once(odd_server: ThreadingHTTPServer) -> None:
    odd_server.answer = (503, "application/json", b"{}")  # type: ignore[attr-defined]
    with (
        ReviewServer(f"http://127.0.0.1:{odd_server.server_port}", TOKEN) as client,
        pytest.raises(RunError, match="status 503"),
    ):
        client.create("title", LAKE)
    assert odd_server.asked == ["/api/projects/"]  # type: ignore[attr-defined]


def test_a_server_that_is_not_there_is_named() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(RunError, match=f"{url} cannot be reached"), ReviewServer(url, TOKEN) as client:
            client.find("title", LAKE)


@pytest.mark.parametrize(
    ("url", "token", "finding"),
    [
        (None, TOKEN, "LABEL_STUDIO_URL must be set"),
        ("http://127.0.0.1", None, "LABEL_STUDIO_API_KEY must be set"),
        ("http://127.0.0.1", "tökén", "LABEL_STUDIO_API_KEY holds characters that no token has"),
        ("http://ada:secret@127.0.0.1", TOKEN, "LABEL_STUDIO_URL must be an address without a name or password"),
    ],
)
def test_the_environment_must_name_server_and_token(
    monkeypatch: pytest.MonkeyPatch, url: str | None, token: str | None, finding: str
) -> None:
    for name, value in (("LABEL_STUDIO_URL", url), ("LABEL_STUDIO_API_KEY", token)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=finding) as caught:
        connect()
    assert "secret" not in str(caught.value)


def test_an_address_without_its_scheme_is_explained() -> None:
    with pytest.raises(InputError, match="must begin with http:// or https://"), ReviewServer("ls.example", TOKEN) as c:
        c.find("title", LAKE)
