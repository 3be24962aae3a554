"""One HTTP call, and a name for everything that can go wrong with it.

    Failure        trying again may help: busy, unreachable, broken off, not JSON
    Refusal        this request will not be answered, others may: too long, filtered
    Misconfigured  no request will be answered: wrong key, no credit, no such model or address

Invariant: no message holds a key, even where the server's answer repeats it.
Not covered: streaming.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import orjson

from toolkit.errors import InputError, ToolkitError
from toolkit.llm.openai_server.endpoints import Endpoint

if TYPE_CHECKING:
    import aiohttp

CONNECT_S = 10.0
RETRYABLE = frozenset({408, 409, 425, 429})
"""Besides everything from 500 on, except 501 and 505, which say that it will never work."""
HOPELESS = frozenset({401, 402, 404, 405, 501, 505})
SPENT = ("insufficient_quota", "billing_hard_limit_reached")
"""Codes that come with HTTP 429 but do not pass by waiting."""
SHOWN_CHARS = 300
"""Of a server's words in a message."""


class Failure(ToolkitError):
    """Trying again may help."""

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, not_there: bool = False, late: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """When the server wants to be asked again. None: it did not say."""
        self.not_there = not_there
        """Whether nothing could be connected to."""
        self.late = late
        """Whether the time was up before the answer came."""


class Refusal(ToolkitError):
    """The server understood this request and said no."""


class Misconfigured(InputError):
    """No request can succeed until something is set right."""


class Caller:
    """Calls of endpoints over one set of connections, opened with the first call."""

    def __init__(self) -> None:
        self._client: aiohttp.ClientSession | None = None

    async def call(
        self, endpoint: Endpoint, path: str, body: dict[str, Any] | None = None, *, timeout_s: float | None = None
    ) -> dict[str, Any]:
        """The JSON object that `path` of `endpoint` answers: to a GET, or to a POST of `body`.

        `timeout_s` shortens the endpoint's own limit.

        Raises:
            Failure, Refusal, Misconfigured: see the module.
        """
        # Only here: while it is imported, which takes longer than anything else at the start, the lake is read.
        import aiohttp

        if self._client is None:
            self._client = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        headers = {"Content-Type": "application/json"}
        if endpoint.api_key:
            headers["Authorization"] = f"Bearer {endpoint.api_key}"
        limit_s = min(endpoint.timeout_s, timeout_s if timeout_s is not None else endpoint.timeout_s)
        timeout = aiohttp.ClientTimeout(total=limit_s, connect=CONNECT_S)
        # A payload already: aiohttp would go through all the kinds that it knows, for each request.
        method, data = ("GET", None) if body is None else ("POST", aiohttp.BytesPayload(orjson.dumps(body)))
        try:
            # A redirect would turn a POST into a GET, or carry the key elsewhere.
            async with self._client.request(
                method, f"{endpoint.url}/{path}", data=data, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                content = await response.read()
                status, sent = response.status, response.headers
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _broken(endpoint, error, limit_s) from error
        if status != 200:
            raise classify(endpoint, status, content, retry_after_s=_retry_after(sent.get("Retry-After")))
        return _json_object(endpoint, content)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None


def classify(
    endpoint: Endpoint, status: int, content: bytes, *, retry_after_s: float | None = None
) -> Failure | Refusal | Misconfigured:
    """What HTTP `status` with that answer means."""
    said = _words(content, endpoint.api_key)
    place = f"{endpoint.url} answered HTTP {status}: {said}"
    if 300 <= status < 400:
        return Misconfigured(f"{endpoint.url} redirects (HTTP {status}); name the address that it leads to")
    if status == 401:
        return Misconfigured(f"{endpoint.url} refused the API key (HTTP 401): {said}")
    if status in HOPELESS or any(code in said for code in SPENT):
        return Misconfigured(place)
    if status in RETRYABLE or status >= 500:
        return Failure(place, retry_after_s=retry_after_s)
    return Refusal(place)


def _json_object(endpoint: Endpoint, content: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise Failure(f"{endpoint.url} gave no JSON: {_words(content, endpoint.api_key)!r}") from error
    if not isinstance(found, dict):
        raise Failure(f"{endpoint.url}: expected a JSON object, got {type(found).__name__}")
    reported = found.get("error")
    if isinstance(reported, dict) and "choices" not in found:
        # Some gateways report the failure of the server behind them with HTTP 200.
        code = reported.get("code")
        raise classify(endpoint, code if isinstance(code, int) and 400 <= code < 600 else 502, content)
    return found


def _broken(endpoint: Endpoint, error: Exception, limit_s: float) -> Failure | Misconfigured:
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.InvalidURL):
        return Misconfigured(f"{endpoint.url}: {error}")
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = error.os_error.strerror or error
        return Failure(f"cannot reach {endpoint.url}: {reason}; is the server running?", not_there=True)
    if isinstance(error, TimeoutError):
        return Failure(f"{endpoint.url} did not answer within {limit_s:g} s", late=True)
    return Failure(f"{endpoint.url} broke off: {type(error).__name__}: {error}")


def _words(content: bytes, key: str | None) -> str:
    text = content.decode(errors="replace")
    return (text.replace(key, "***") if key else text)[:SHOWN_CHARS]


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait, from a number of seconds or a date; None if there is neither."""
    if value is None:
        return None
    try:
        return max(0.0, float(value)) if value.strip().replace(".", "", 1).isdigit() else _until(value)
    except ValueError:
        return None


def _until(date: str) -> float:
    then = parsedate_to_datetime(date)
    return max(0.0, (then.replace(tzinfo=then.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
