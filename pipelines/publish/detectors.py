"""What must not be published: secrets and personal data in a text, each with its span.

Secrets are what the detectors of detect-secrets match (never its `analyze_line`, which asks the
issuer over the network whether a key works). Personal data are what can be told without a
language model and with few false alarms: mail addresses, phone numbers with country code,
IBANs, payment cards, US social security numbers, home directories that name a person.
Not covered: names, postal addresses, numbers without a checkable form, secrets without a
known form or a telling variable name, what is encoded (base64, screenshots).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from toolkit.errors import MissingExtraError

_KEY_BLOCK = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:.*?-----END [A-Z ]*PRIVATE KEY-----|[\sA-Za-z0-9+/=]*)", re.S
)
"""The whole key: detect-secrets matches its first line alone, and redacting that would leave the rest."""
_WEB_TOKEN = re.compile(r"\beyJ[\w-]+\.eyJ[\w-]+(?:\.[\w-]*)?")
_ISSUED = {
    "Hugging Face token": re.compile(r"\bhf_[A-Za-z0-9]{34,40}\b"),
    "Anthropic key": re.compile(r"\bsk-ant-[A-Za-z0-9_-]{24,}"),
    "OpenAI key": re.compile(r"\bsk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{24,}"),
    "Google API key": re.compile(r"\bAIza[A-Za-z0-9_-]{35}\b"),
}
"""Keys that agents carry and detect-secrets 1.5 does not know."""
_PLUGINS = (
    "ArtifactoryDetector AWSKeyDetector AzureStorageKeyDetector BasicAuthDetector DiscordBotTokenDetector"
    " GitHubTokenDetector GitLabTokenDetector MailchimpDetector NpmDetector OpenAIDetector"
    " PypiTokenDetector SendGridDetector SlackDetector SquareOAuthDetector StripeDetector TelegramBotTokenDetector"
    " TwilioKeyDetector"
).split()
"""Not among them: entropy (hashes and ids are no secrets), Cloudant, IBM and SoftLayer (they match prose)."""

_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24}\b")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_CARD = re.compile(r"(?<![\d.,-])\d{4}(?:([ -])\d{4}\1\d{4}\1\d{4}|([ -])\d{6}\2\d{5}|\d{9,15})(?![\d.,-]?\d)")
_CARD_WORD = re.compile(r"\b(?:card|visa|mastercard|amex|cvv)\b[^\n]{0,40}$", re.I)
_SSN = re.compile(r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])")
_OPERAND = re.compile(r"(?:[\w)\]]|[\d)\]]\s+)$")
"""What stands before a plus that adds."""
_HOME = re.compile(r"(?:/home/|/Users/|\b[A-Za-z]:\\Users\\)(?P<user>[A-Za-z][\w.-]*)")
_NOBODY = frozenset(
    "user users shared public default ubuntu runner root admin sandbox app jovyan vscode me you".split()
)
"""Home directories of roles, not of people."""

_LEAST_MASKED = 8


@dataclass(frozen=True, slots=True)
class Found:
    """One place in a text."""

    kind: str
    start: int
    end: int
    value: str
    secret: bool
    """A secret; otherwise personal data."""

    @property
    def masked(self) -> str:
        """As much of the value as can be shown: its ends if it is long."""
        if len(self.value) < _LEAST_MASKED:
            return "*" * len(self.value)
        return f"{self.value[:2]}{'*' * min(len(self.value) - 3, 12)}{self.value[-1]}"


def find(text: str) -> list[Found]:
    """Every secret and every piece of personal data in `text`, in order, without overlap (the longest wins)."""
    found = sorted({*_secrets(text), *_personal(text)}, key=lambda place: (place.start - place.end, place.start))
    kept: list[Found] = []
    for place in found:
        if all(place.end <= other.start or other.end <= place.start for other in kept):
            kept.append(place)
    return sorted(kept, key=lambda place: place.start)


def _secrets(text: str) -> Iterator[Found]:
    if "PRIVATE KEY-----" in text:
        yield from _matches("private key", _KEY_BLOCK, text)
    for kind, pattern in _ISSUED.items():
        yield from _matches(kind, pattern, text)
    for kind, pattern in _plugins():
        yield from _matches(kind, pattern, text)
    yield from _web_tokens(text)
    yield from _keyword_values(text)


def _matches(kind: str, pattern: re.Pattern[str], text: str) -> Iterator[Found]:
    for match in pattern.finditer(text):
        yield Found(kind, match.start(), match.end(), match.group(), secret=True)


def _places(kind: str, value: str, text: str) -> Iterator[Found]:
    start = text.find(value) if value else -1
    while start >= 0:
        yield Found(kind, start, start + len(value), value, secret=True)
        start = text.find(value, start + len(value))


@cache
def _plugins() -> list[tuple[str, re.Pattern[str]]]:
    try:
        from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    except ImportError as error:
        raise MissingExtraError("detect-secrets", "hub", "looking for secrets") from error
    by_type: dict[str, Any] = get_mapping_from_secret_type_to_class()
    known = {plugin.__name__: plugin for plugin in by_type.values()}
    return [(known[name].secret_type, pattern) for name in _PLUGINS for pattern in known[name].denylist]


def _web_tokens(text: str) -> Iterator[Found]:
    if "eyJ" in text:
        from detect_secrets.plugins.jwt import JwtTokenDetector

        for found in _matches("JSON Web Token", _WEB_TOKEN, text):
            if JwtTokenDetector.is_formally_valid(found.value):
                yield found


_KEYWORD_PARTS = ("key", "pass", "pwd", "secret", "contrase")
"""One of these is in every word of detect-secrets' list of telling names."""


@cache
def _keywords() -> tuple[Callable[[str], Iterable[str]], Callable[[str], bool]]:
    """The detector of values, and whether a value is a placeholder."""
    from detect_secrets.filters import heuristic
    from detect_secrets.plugins.keyword import DENYLIST, KeywordDetector

    assert all(any(part in word for part in _KEYWORD_PARTS) for word in DENYLIST)

    def placeholder(value: str) -> bool:
        return (
            heuristic.is_sequential_string(value)
            or heuristic.is_templated_secret(value)
            or heuristic.is_prefixed_with_dollar_sign(value)
            or heuristic.is_not_alphanumeric_string(value)
        )

    return KeywordDetector().analyze_string, placeholder


def _keyword_values(text: str) -> Iterator[Found]:
    """Quoted values given to a variable with a telling name, such as `password = "…"`."""
    values, placeholder = _keywords()
    if not any(part in text.lower() for part in _KEYWORD_PARTS):
        return
    for line in text.splitlines():
        if any(part in line.lower() for part in _KEYWORD_PARTS):
            for value in values(line):
                if len(value) >= _LEAST_MASKED and " " not in value and not placeholder(value):
                    yield from _places("secret by its name", value, text)


def _personal(text: str) -> Iterator[Found]:
    for kind, pattern, valid in _personal_forms():
        if kind == "mail address" and "@" not in text:
            continue
        for match in pattern.finditer(text):
            if valid(match):
                yield Found(kind, match.start(), match.end(), match.group(), secret=False)
    if re.search(r"[+\uff0b]\s?\(?\d", text):
        yield from _phone_numbers(text)


@cache
def _personal_forms() -> list[tuple[str, re.Pattern[str], Callable[[re.Match[str]], bool]]]:
    try:
        from email_validator import EmailNotValidError, validate_email
        from stdnum import iban, luhn
        from stdnum.us import ssn
    except ImportError as error:
        raise MissingExtraError("python-stdnum and email-validator", "hub", "looking for personal data") from error

    def is_address(match: re.Match[str]) -> bool:
        domain = match.group().rpartition("@")[2].lower()
        if domain in _EXAMPLES or domain.partition(".")[0] in ("git", "users"):
            return False
        try:
            validate_email(match.group(), check_deliverability=False)
        except EmailNotValidError:
            return False
        return True

    def is_card(match: re.Match[str]) -> bool:
        # One number in ten passes Luhn's test: it counts where it is written or announced as a card.
        told = not match.group().isdigit() or _CARD_WORD.search(match.string, 0, match.start())
        digits = re.sub(r"\D", "", match.group())
        return bool(told) and digits[0] in "3456" and len(set(digits)) > 1 and luhn.is_valid(digits)

    return [
        ("mail address", _MAIL, is_address),
        ("IBAN", _IBAN, lambda match: iban.is_valid(match.group())),
        ("payment card", _CARD, is_card),
        ("US social security number", _SSN, lambda match: ssn.is_valid(match.group())),
        ("home directory", _HOME, lambda match: match["user"].lower() not in _NOBODY),
    ]


_EXAMPLES = frozenset({"example.com", "example.org", "example.net"})
"""Reserved for documentation: nobody has an address there."""


def _phone_numbers(text: str) -> Iterator[Found]:
    """Numbers with a country code that its numbering plan knows; others are not to be told from numbers."""
    try:
        from phonenumbers import PhoneNumberMatcher
    except ImportError as error:
        raise MissingExtraError("phonenumbers", "hub", "looking for personal data") from error
    for match in PhoneNumberMatcher(text, None):
        # A sum has a plus, too: `a + 4930901820`, `12 +4930901820`.
        if match.raw_string[1:2].isspace() or _OPERAND.search(text, 0, match.start):
            continue
        yield Found("phone number", match.start, match.end, match.raw_string, secret=False)
