r"""What a server can do, found out by asking it, before anything is paid for but a few tokens.

Many servers accept fields that they do not know with HTTP 200 and ignore them, so an answer proves
nothing; how the answer *differs* does.

**Prefix.** Continuing means: the prompt ends inside the assistant's turn. What shows it is the
server's own count of prompt tokens. The prefix is `one\none\n…`, four and twelve lines more than one;
the difference of the two counts is eight lines, hence what a prefix of that length costs is known,
given that a line break is one token. A server that closes the turn and opens another counts more
than that (one token at least, five with ChatML), one that drops the turn counts less.
Some templates open a turn that goes on differently from a fresh one (Qwen3 puts an empty thought
first), so for the flags there is a second proof: against the same request without them they must
take off more than the opening of the next turn, which is measured as well; the rest is the mark
that ends this one. Where they take off nothing, they are ignored.
The text can only contradict: a prefix that ends within a word (`…is Par`) must not be begun again.
Without counts the text must prove it: a model that is good enough goes on with `is`.
Not proven: that a server which counts one prompt does not generate from another; without counts,
that a closed turn was not continued by chance.

**Stop strings.** The server's own greedy text is asked for again with one of its characters as the
stop string: the text then ends with it (kept), before it with its name beside (named), or otherwise.

**Schema.** A question is asked under a schema that allows one answer only, which has nothing to do with the question:
a server that ignores the schema does not write it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from toolkit.contracts import ChatMessage, CompletionRequest
from toolkit.errors import InputError
from toolkit.llm.openai_server.calls import Failure, Refusal
from toolkit.llm.openai_server.payload import PrefixWay, SchemaWay, Ways, read_answer, write_request

Ask = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
"""One chat completion of the server that is looked at."""

QUESTION = (ChatMessage("user", "What is the capital of France? Answer in one sentence."),)
PLAIN = CompletionRequest(QUESTION, max_tokens=8)
SHORT, LONG = 4, 12
WITHIN_A_WORD, REST = "The capital of France is Par", "is"

ANSWER = "quince-7"
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string", "enum": [ANSWER]}, "note": {"type": "string", "maxLength": 8}},
    "required": ["answer", "note"],
    "additionalProperties": False,
}
SCHEMA_TOKENS = 1024
"""Enough for a model that thinks first; one that keeps to the schema ends by itself."""
_KEPT = re.compile(rf'\s*\{{\s*"answer"\s*:\s*"{ANSWER}"')


class Probe:
    """Looks at one server."""

    def __init__(self, ask: Ask, model: str) -> None:
        self._ask = ask
        self._model = model

    async def find_ways(self, *, prefix: bool, logprobs: bool, schema: bool = False) -> Ways:
        """The server's ways; `prefix`, `logprobs` and `schema` (keeping to one) say what is needed of it.

        Raises:
            Failure, Refusal: the server does not answer a plain request.
            InputError: it lacks what is needed; the message says what, the caller says which server.
        """
        ways = Ways(prefix=None, stop="cut")
        try:
            answer = await self._answer(PLAIN, ways)
        except Refusal as error:
            if "max_completion_tokens" not in str(error):
                raise
            ways = replace(ways, limit="max_completion_tokens")
            answer = await self._answer(PLAIN, ways)
        text = read_answer(answer, PLAIN, ways, logprobs=False)[0].text
        ways = await self._with_stop_way(text, ways)
        if logprobs:
            await self._check_logprobs(ways)
        if schema:
            ways = await self._with_schema_way(ways)
        return await self._with_prefix_way(_prompt_tokens(answer), ways) if prefix else ways

    async def _answer(self, request: CompletionRequest, ways: Ways, **more: object) -> dict[str, Any]:
        return await self._ask(write_request(self._model, request, ways, logprobs=False) | more)

    async def _with_stop_way(self, text: str, ways: Ways) -> Ways:
        """Kept or named if the server shows it, and whether it gives token ids, asked for in the same request."""
        position = next((i for i, c in enumerate(text) if i and c.isalnum() and text.index(c) == i), None)
        if position is None:
            return ways
        stop = text[position]
        request = replace(PLAIN, stop=(stop,))
        for way in (replace(ways, stop="kept"), replace(ways, stop="named")):
            extra = {"return_token_ids": True} if way.stop == "kept" else {}
            try:
                answer = await self._answer(request, way, **extra)
                # Read as if no stop string had been sent: the text is as the server gave it.
                found = read_answer(answer, PLAIN, ways, logprobs=False)[0].text
            except Refusal:
                continue  # a strict server: it refuses fields that it does not know
            choice = answer["choices"][0]
            way = replace(way, token_ids=isinstance(choice.get("token_ids"), list))
            if way.stop == "kept" and found == text[: position + 1]:
                return way
            if found == text[:position] and stop in (choice.get("stop_reason"), choice.get("matched_stop")):
                return replace(way, stop="named")
            ways = replace(ways, token_ids=ways.token_ids or way.token_ids)
        return ways

    async def _check_logprobs(self, ways: Ways) -> None:
        request = CompletionRequest(QUESTION, max_tokens=2)
        try:
            answer = await self._answer(request, ways, logprobs=True)
        except Refusal as error:
            raise InputError(f"gives no logprobs ({error}); leave out --logprobs") from error
        if read_answer(answer, request, ways, logprobs=True)[0].logprobs is None:
            raise InputError("gives no logprobs; leave out --logprobs")

    async def _with_schema_way(self, ways: Ways) -> Ways:
        """The first way in which the server keeps to a schema.

        Raises:
            InputError: there is none; with what was seen.
        """
        request = replace(PLAIN, max_tokens=SCHEMA_TOKENS)
        seen: list[str] = []
        tried: tuple[SchemaWay, ...] = ("json_schema", "json_object")
        for way, limits in product(tried, (True, False)):
            found = replace(ways, schema=way, schema_limits=limits)
            body = write_request(self._model, request, found, logprobs=False, schema=SCHEMA)
            try:
                text = read_answer(await self._ask(body), request, found, logprobs=False)[0].text
            except (Refusal, Failure) as error:
                seen.append(f"{way}{'' if limits else ' without maxLength'}: {error}")
                continue
            if _KEPT.match(text):
                return found
            seen.append(f"{way}{'' if limits else ' without maxLength'}: ignored, it wrote {text[:40]!r}")
        raise InputError(
            f"does not keep to a JSON schema, which judging needs ({'; '.join(seen)}); "
            "vLLM, SGLang, llama.cpp and most hosted servers do"
        )

    async def _with_prefix_way(self, plain_tokens: int | None, ways: Ways) -> Ways:
        """The first way that the server goes on in.

        Raises:
            InputError: there is none; with what was seen.
        """
        seen: list[str] = []
        flagged, bare = await self._counts("flags", ways), await self._counts("prefill", ways)
        tried: list[tuple[PrefixWay, _Counts | str]] = [("flags", flagged), ("prefill", bare)]
        for way, counts in tried:
            if isinstance(counts, str):
                seen.append(f"{way}: {counts}")
                continue
            closing = counts.closing_tokens(plain_tokens)
            if way == "flags" and closing and await self._flags_drop_the_end(plain_tokens, counts, bare, ways):
                closing = 0
            if way == "flags" and closing == 0 and not isinstance(bare, str) and bare.short == counts.short:
                seen.append("flags: no different from leaving them out")
                continue
            if closing is not None and closing != 0:
                seen.append(f"{way}: {closing:+d} prompt tokens beside those of a prompt that ends with the prefix")
                continue
            found = replace(ways, prefix=way, repeats_prefix=counts.repeats)
            goes_on = await self._goes_on(found)
            if goes_on or (goes_on is None and closing == 0):
                return found
            seen.append(f"{way}: {'no token counts, and ' if closing is None else ''}the text does not go on")
        raise InputError(
            f"does not continue an assistant prefix, which first-thought prefixing needs ({'; '.join(seen)}); use a "
            "server that does, --ftp-mode instruct to ask for the first thought in words, or --no-ftp"
        )

    async def _flags_drop_the_end(
        self, plain_tokens: int | None, flagged: _Counts, bare: _Counts | str, ways: Ways
    ) -> bool:
        """Whether the flags take more off the prompt than the opening of the next turn: the mark that ends this one."""
        if plain_tokens is None or flagged.short is None or isinstance(bare, str) or bare.short is None:
            return False
        try:
            unopened = _prompt_tokens(await self._answer(PLAIN, ways, add_generation_prompt=False))
        except (Refusal, Failure):
            return False
        opening = max(0, plain_tokens - (plain_tokens if unopened is None else unopened))
        return flagged.long != flagged.short and bare.short - flagged.short > opening

    async def _counts(self, way: PrefixWay, ways: Ways) -> _Counts | str:
        """What the server counts with a short and a long prefix; or, in words, why not."""
        counted: list[int | None] = []
        text = ""
        for lines in (SHORT, LONG):
            request = CompletionRequest(QUESTION, max_tokens=2, prefix=_prefix(lines))
            try:
                answer = await self._answer(request, replace(ways, prefix=way))
                text = read_answer(answer, request, ways, logprobs=False)[0].text
            except Refusal as error:
                return f"refused, {error}"
            except Failure as error:
                # Some servers fail where they should refuse; a busy one was already asked again.
                return f"failed, {error}"
            counted.append(_prompt_tokens(answer))
        # Two tokens cannot spell the long prefix: it was given back.
        return _Counts(counted[0], counted[1], repeats=text.startswith(_prefix(LONG)))

    async def _goes_on(self, ways: Ways) -> bool | None:
        """What the text after a broken-off word shows. None: neither that it went on nor that it began again."""
        request = CompletionRequest(QUESTION, max_tokens=6, prefix=WITHIN_A_WORD)
        answer = await self._answer(request, ways)
        text = read_answer(answer, request, ways, logprobs=False)[0].text
        if text.startswith(REST):
            return True
        return False if text.lstrip().startswith((WITHIN_A_WORD[:11], "Paris")) else None


@dataclass(frozen=True, slots=True)
class _Counts:
    """Prompt tokens with each of the two prefixes (None: not counted), and whether the text began with the prefix."""

    short: int | None
    long: int | None
    repeats: bool

    def closing_tokens(self, plain: int | None) -> int | None:
        """Prompt tokens besides those of the plain prompt and the prefix: 0 if the prompt ends with the prefix.

        None: the server does not count.
        """
        if plain is None or self.short is None or self.long is None:
            return None
        line, rest = divmod(self.long - self.short, LONG - SHORT)
        # The last line has no line break, one token less.
        found = self.short - (plain + (SHORT + 1) * line - 1)
        return found if line > 0 and rest == 0 else found or -1


def _prefix(lines: int) -> str:
    return "one\n" * lines + "one"


def _prompt_tokens(answer: dict[str, Any]) -> int | None:
    usage = answer.get("usage")
    count = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return count if isinstance(count, int) else None
