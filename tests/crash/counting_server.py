"""A server in a process of its own that answers deterministically, goes wrong on purpose, and logs every request.

    python counting_server.py LOG [LATENCY_S] [FAULTS] [SEED]      # prints its port

The log has a line when a request has come (`asked HASH`) and one when all of its answer is out (`answered HASH`),
HASH being that of its body; each request of a run has a seed of its own, hence a hash of its own. Every answer
carries its hash, so that journal and lake tell which requests they hold the reply of.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aiohttp import web

FAULTS = ("429", "500", "timeout", "disconnect", "half a body", "invalid JSON", "empty choices")
PROBE_TOKENS = 16
CHAIN = "First I look twice. {mark}\n\nThen I add.\n\nFinal answer: 3"
LOOK = "\nCode:\n```py\nseen = globals().get('seen', 0) + len(look('{mark}'))\nprint(seen)\n```"
FINAL = "\nCode:\n```py\nfinal_answer(seen + len('{mark}'))\n```"


class CountingServer:
    """Answers chat completions; `log` keeps what was asked."""

    def __init__(self, log: Path, latency_s: float, faults: float, seed: int) -> None:
        self._log = log.open("ab", buffering=0)
        self._latency_s, self._faults, self._random = latency_s, faults, random.Random(seed)

    async def models(self, request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "counted"}]})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        content = await request.read()
        body = json.loads(content)
        mark = hashlib.sha256(content).hexdigest()[:16]
        if body["max_tokens"] <= PROBE_TOKENS:
            # The client looks how a prefix is continued ("… France is Par" by "is"); nothing of a run.
            return web.json_response({"choices": [{"index": 0, "message": {"content": "is"}, "finish_reason": "stop"}]})
        self._say("asked", mark)
        await asyncio.sleep(self._latency_s * (0.5 + self._random.random()))
        if self._random.random() < self._faults:
            return await self._go_wrong(request, self._random.choice(FAULTS))
        response = web.json_response(_answer(reply(body, mark)))
        # Whoever asked may have been killed meanwhile.
        with suppress(ConnectionResetError):
            await response.prepare(request)
            await response.write_eof()
            self._say("answered", mark)
        return response

    async def _go_wrong(self, request: web.Request, fault: str) -> web.StreamResponse:
        self._say("fault", fault.replace(" ", "_"))
        if fault in ("429", "500"):
            return web.json_response({"error": "on purpose"}, status=int(fault))
        if fault == "timeout":
            await asyncio.sleep(60)
        if fault == "invalid JSON":
            return web.Response(text='{"choices": [', content_type="application/json")
        if fault == "empty choices":
            return web.json_response({"choices": []})
        whole = json.dumps(_answer("half of this")).encode()
        response = web.StreamResponse(headers={"Content-Length": str(len(whole))})
        if fault == "half a body":
            await response.prepare(request)
            await response.write(whole[: len(whole) // 2])
        assert request.transport is not None
        request.transport.close()
        return response

    def _say(self, *words: str) -> None:
        self._log.write((" ".join(words) + "\n").encode())


def reply(body: dict[str, object], mark: str) -> str:
    """What the model says: a chain of thought, or one of three actions."""
    messages = body["messages"]
    assert isinstance(messages, list)
    if "final_answer" not in messages[0]["content"]:
        return CHAIN.format(mark=mark)
    going_on = bool(body.get("continue_final_message"))
    step = sum(message["role"] == "assistant" for message in messages) - going_on
    begin = "" if going_on else "Thought: I go on."
    return begin + f" # {mark}" + (LOOK if step < 2 else FINAL).format(mark=mark)


def _answer(text: str) -> dict[str, object]:
    choice = {"index": 0, "message": {"content": text}, "finish_reason": "stop"}
    return {"choices": [choice], "usage": {"prompt_tokens": 100, "completion_tokens": 10}}


class Running:
    """A server that runs, and its log."""

    def __init__(self, port: int, log: Path) -> None:
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self._log = log

    def lines(self, kind: str, start: int = 0) -> list[str]:
        """What the log says of `kind`, from byte `start`."""
        text = self._log.read_bytes()[start:].decode()
        return [line.split()[1] for line in text.splitlines() if line.startswith(kind + " ")]

    def count(self, kind: str) -> Counter[str]:
        return Counter(self.lines(kind))

    @property
    def end(self) -> int:
        """Where the log ends now."""
        return self._log.stat().st_size


@contextmanager
def counting_server(log: Path, *, latency_s: float = 0.0, faults: float = 0.0, seed: int = 0) -> Iterator[Running]:
    """A server in its own process, ended with the block."""
    command = [sys.executable, __file__, str(log), str(latency_s), str(faults), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Running(int(process.stdout.readline()), log)
        finally:
            process.kill()


async def _serve(log: str, latency_s: str = "0", faults: str = "0", seed: str = "0") -> None:
    server = CountingServer(Path(log), float(latency_s), float(faults), int(seed))
    app = web.Application(client_max_size=1 << 26)
    app.router.add_get("/v1/models", server.models)
    app.router.add_post("/v1/chat/completions", server.chat)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:]))
