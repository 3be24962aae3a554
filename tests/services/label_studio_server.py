"""A real Label Studio on a free port of this machine: its environment, made once, and its process.

A first start makes the tables of its database, which takes a minute or two; so that is done once, too, and every
server starts from a copy. The environment lies in `TOOLKIT_SERVICE_DIR` (default:
`~/.cache/trajectory-toolkit/services`), because it takes a gigabyte. The server is told to send nothing to anybody.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

SCRIPT = Path(__file__).parent / "label_studio_env.sh"
START_S = 240
ADMIN, PASSWORD, TOKEN = "ada@example.org", "a-long-password-1", "0123456789abcdef0123456789abcdef01234567"


def environment() -> Path:
    """The environment with Label Studio and, in `fresh`, the data of a server without projects; made if not there."""
    home = os.environ.get("TOOLKIT_SERVICE_DIR") or Path.home() / ".cache" / "trajectory-toolkit" / "services"
    made = Path(home) / "label-studio-1.23.2"
    made.parent.mkdir(parents=True, exist_ok=True)
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run([str(SCRIPT), str(made)], check=True)
        if not (made / "fresh").exists():
            shutil.rmtree(made / "first", ignore_errors=True)
            first = LabelStudioServer(made, made / "first")
            try:
                first.start()
            finally:
                first.stop()
            (made / "first").rename(made / "fresh")
    return made


@contextmanager
def label_studio(home: Path) -> Iterator[LabelStudioServer]:
    """A server that runs, its data below `home`; it is ended, whatever happens."""
    made = environment()
    shutil.copytree(made / "fresh", home / "data")
    server = LabelStudioServer(made, home / "data")
    try:
        server.start()
        yield server
    finally:
        server.stop()


class LabelStudioServer:
    """One server; it can die and come back with the same data at the same address."""

    def __init__(self, environment: Path, data: Path) -> None:
        self._program = environment / "bin" / "label-studio"
        self._data = data
        self._log = data.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = {
            "LABEL_STUDIO_BASE_DATA_DIR": str(self._data),
            "LABEL_STUDIO_USERNAME": ADMIN,
            "LABEL_STUDIO_PASSWORD": PASSWORD,
            "LABEL_STUDIO_USER_TOKEN": TOKEN,
            "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
            "COLLECT_ANALYTICS": "False",
            "SENTRY_DSN": "",
            "FRONTEND_SENTRY_DSN": "",
            "LATEST_VERSION_CHECK": "0",
            "SSRF_PROTECTION_ENABLED": "false",
        }
        inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONWARNINGS")}
        command = [str(self._program), "start", "--no-browser", "--internal-host", "127.0.0.1", "-p", str(self._port)]
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env={**inherited, **settings}, start_new_session=True
            )
        self._wait()

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            self._end(signal.SIGTERM)

    def _end(self, first: signal.Signals) -> None:
        assert self._process is not None
        # The whole group: the server reloads in a process of its own.
        for number in (first, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=15)
                break
        self._process = None

    def _wait(self) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                break
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/health", timeout=5).is_success:
                    return
            time.sleep(0.5)
        said = self._log.read_text(errors="replace")[-3000:]
        raise AssertionError(f"Label Studio did not start; the end of {self._log}:\n{said}")

    def sign_up(self, email: str) -> str:
        """A new user, by the page on which people sign up; its legacy token."""
        with httpx.Client(base_url=self.url, follow_redirects=True, timeout=60) as browser:
            page = browser.get("/user/signup/").text
            found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
            assert found, page[:500]
            form = {"csrfmiddlewaretoken": found[1], "email": email, "password": PASSWORD, "allow_newsletters": "false"}
            browser.post("/user/signup/", data=form, headers={"Referer": f"{self.url}/user/signup/"}).raise_for_status()
            return str(browser.get("/api/current-user/token").raise_for_status().json()["token"])

    def personal_token(self) -> str:
        """A new personal access token of the first user."""
        with self.user(TOKEN) as admin:
            return str(admin.post("/api/token/").raise_for_status().json()["token"])

    def user(self, token: str) -> httpx.Client:
        """The server's API, as the user with this legacy token."""
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Token {token}"}, timeout=120)
