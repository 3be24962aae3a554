"""Whatever a session's process sends, only that session can suffer from it."""

import asyncio
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.sandbox import Limits, Outcome, Sandbox
from toolkit.sandbox.frames import Call, MalformedFrameError, Report, read_frame

REPORT: dict[str, object] = {
    "action": 1, "stdout": "", "cut_chars": 0, "value": None, "answer": None, "error_kind": "none", "error": None,
}  # fmt: skip
CALL: dict[str, object] = {"action": 1, "call": "add", "args": [], "kwargs": {}}

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    )
)  # fmt: skip

FORGED = {
    "a length of 4 GB": b"\xff\xff\xff\xff",
    "no JSON": struct.pack(">I", 5) + b"hello",
    "no UTF-8": struct.pack(">I", 2) + b"\xff\xfe",
    "no object": struct.pack(">I", 2) + b"[]",
    "deep nesting": struct.pack(">I", 200_000) + b"[" * 200_000,
    "a flood": b"\x00\x00\x00\x02{}" * 5_000,
    "nothing inside": struct.pack(">I", 0),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_frame_ends_only_the_session_that_sent_it(name: str) -> None:
    async def main() -> list[Outcome]:
        async with Sandbox(modules=["os"], limits=Limits(step_timeout_s=5)) as sandbox:
            hostile, neighbour = await sandbox.open(), await sandbox.open()
            await neighbour.run("x = 'unharmed'")
            await hostile.run("x = 'before'")
            attack = f"import os\nx = 'after'\nn = os.write(3, {FORGED[name]!r})"
            return [await hostile.run(attack), await hostile.run("x"), await neighbour.run("x")]

    forged, after, neighbour = asyncio.run(main())
    assert (forged.ok, forged.error_kind) == (False, "sandbox")
    assert after.value == "'before'"
    assert neighbour.value == "'unharmed'"


def test_a_frame_sent_between_actions_is_not_taken_for_the_next_answer() -> None:
    forged = json.dumps({**REPORT, "action": 2, "answer": "forged"}).encode()
    late = (
        "import os, signal\n"
        f"frame = {struct.pack('>I', len(forged)) + forged!r}\n"
        "x = signal.signal(signal.SIGALRM, lambda *_: os.write(3, frame))\n"
        "y = signal.setitimer(signal.ITIMER_REAL, 0.2)"
    )

    async def main() -> list[Outcome]:
        # Only where there is no seccomp can a process act between its actions.
        async with Sandbox(modules=["os", "signal"], level=1) as sandbox:
            session = await sandbox.open()
            first = await session.run(late)
            await asyncio.sleep(0.5)
            return [first, await session.run("1 + 1")]

    first, second = asyncio.run(main())
    assert first.ok
    assert (second.is_final, second.value) == (False, "2")


def test_a_tool_that_does_not_exist_cannot_be_called() -> None:
    call = json.dumps({**CALL, "call": "eval", "args": ["1"]}).encode()
    code = f"import os\nn = os.write(3, {struct.pack('>I', len(call)) + call!r})\nos.read(3, 1000)"

    async def main() -> Outcome:
        async with Sandbox(modules=["os"]) as sandbox:
            return await (await sandbox.open()).run(code)

    outcome = asyncio.run(main())
    assert "there is no tool" in str(outcome.value)


def test_well_formed_frames_are_read() -> None:
    assert read_frame(json.dumps(REPORT).encode(), action=1, output_chars=10) == Report("", 0, None, None, "none", None)
    call = {**CALL, "args": [1, {"a": [None, 10**40]}]}
    assert read_frame(json.dumps(call).encode(), action=1, output_chars=10) == Call(
        "add", [1, {"a": [None, 10**40]}], {}
    )


@pytest.mark.parametrize(
    "frame",
    [
        {**REPORT, "action": 2},
        {**REPORT, "action": True, "extra": 1},
        {**REPORT, "stdout": None},
        {**REPORT, "stdout": "x" * 11},
        {**REPORT, "value": ["x"]},
        {**REPORT, "value": "x" * 1_000},
        {**REPORT, "cut_chars": -1},
        {**REPORT, "cut_chars": True},
        {**REPORT, "cut_chars": 1e400},
        {**REPORT, "error_kind": "timeout", "error": "x"},
        {**REPORT, "error_kind": ["none"]},
        {**REPORT, "error": "but the kind is none"},
        {**REPORT, "error_kind": "execution"},
        {**REPORT, "more": 1},
        {**CALL, "call": 5},
        {**CALL, "args": {}},
        {**CALL, "kwargs": []},
        {**CALL, "more": 1},
        {**CALL, "args": [float("nan")]},
        {**CALL, "args": ["\ud800"]},
        {**CALL, "kwargs": {"\ud800": 1}},
        {**CALL, "args": [0] * 30_000},
        {**CALL, "args": [json.loads("[" * 50 + "]" * 50)]},
        {"action": 1},
    ],
    ids=repr,
)
def test_malformed_frames_are_refused(frame: dict[str, object]) -> None:
    with pytest.raises(MalformedFrameError):
        read_frame(json.dumps(frame).encode(), action=1, output_chars=10)


@given(st.binary() | ANYTHING.map(lambda value: json.dumps(value).encode()))
def test_whatever_else_arrives_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedFrameError):
        read_frame(body, action=1, output_chars=10)


@given(st.sampled_from(sorted(REPORT)), ANYTHING)
def test_any_value_in_a_report_is_taken_with_its_type_or_refused(key: str, value: object) -> None:
    try:
        read = read_frame(json.dumps({**REPORT, key: value}).encode(), action=1, output_chars=10)
    except MalformedFrameError:
        return
    assert isinstance(read, Report)
    assert isinstance(read.stdout, str)
    assert type(read.cut_chars) is int
    assert read.value is None or isinstance(read.value, str)
