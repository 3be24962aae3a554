"""Where a model is served: an address, a key, and how much the place may be asked for at once.

Written on a command line as `URL[,name=value…]`, for example
`http://10.0.0.5:8000/v1,weight=2,in_flight=64,key_env=MY_KEY`. Invariant: a key is never part
of the text of an endpoint; only the name of its environment variable is.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from toolkit.errors import InputError

OPTIONS = ("weight", "in_flight", "timeout_s", "key_env")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server."""

    base_url: str
    """With the version, such as `http://127.0.0.1:8000/v1`."""
    api_key: str | None = field(default=None, repr=False)
    """None: the server asks for none."""
    timeout_s: float = 600.0
    """For one request, reading included."""
    weight: float = 1.0
    """Its share of the requests, beside those of other endpoints."""
    in_flight: int | None = None
    """Most requests at once. None: as many as come."""

    def __post_init__(self) -> None:
        """Refuse what cannot be called.

        Raises:
            InputError: the address or a number will not do.
        """
        try:
            parts = urlsplit(self.base_url)
            # `port` is read because reading is what checks it.
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable, parts = False, urlsplit("")
        if "@" in parts.netloc or parts.query:
            # Not quoted: what stands there may be a secret.
            raise InputError(
                "the address of an endpoint holds a user name or a query; "
                "name an environment variable that holds the key: URL,key_env=NAME"
            )
        if not usable:
            raise InputError(f"expected an address such as http://127.0.0.1:8000/v1, got {self.base_url!r}")
        for name in ("weight", "timeout_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{self.base_url}: {name} must be above 0, got {value}")
        if self.in_flight is not None and self.in_flight < 1:
            raise InputError(f"{self.base_url}: in_flight must be at least 1, got {self.in_flight}")

    @property
    def url(self) -> str:
        """The address without a slash at its end."""
        return self.base_url.rstrip("/")


def parse_endpoint(
    text: str,
    *,
    key_env: str | None = None,
    timeout_s: float = 600.0,
    environment: Mapping[str, str] | None = None,
) -> Endpoint:
    """The endpoint that `text` describes; `key_env` is the variable of its key unless it names another.

    A variable that `text` names itself must be set; the default one need not be, because many servers ask for no key.

    Raises:
        InputError: an option is unknown, given twice or without a usable value.
    """
    known = os.environ if environment is None else environment
    url, *options = text.split(",")
    given: dict[str, str] = {}
    for option in options:
        name, equals, value = option.strip().partition("=")
        if name not in OPTIONS or not equals or not value or name in given:
            raise InputError(
                f"endpoint {_shown(url)}: expected URL,name=value with each of {', '.join(OPTIONS)} at most once, "
                f"got {name!r}"
            )
        given[name] = value
    if "key_env" in given and not known.get(given["key_env"]):
        raise InputError(f"endpoint {_shown(url)}: the environment variable {given['key_env']} is not set")
    key = known.get(given.get("key_env") or key_env or "") or None
    try:
        return Endpoint(
            url.strip(),
            key,
            timeout_s=float(given.get("timeout_s", timeout_s)),
            weight=float(given.get("weight", 1)),
            in_flight=int(given["in_flight"]) if "in_flight" in given else None,
        )
    except ValueError as error:
        raise InputError(f"endpoint {_shown(url)}: expected a number, {error}") from error


def _shown(url: str) -> str:
    """The address without what may be a secret."""
    return url.strip().rpartition("@")[2].partition("?")[0]
