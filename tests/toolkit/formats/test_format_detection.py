"""Detection says which format and why, and refuses to guess."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from toolkit.errors import InputError, RecordError
from toolkit.formats.detect import FORMATS, detect, format_named, parse_checked
from toolkit.formats.records import Record, iter_records

DATA = Path(__file__).parents[2] / "data" / "formats"

REACT: dict[str, object] = {
    "messages": [
        {"role": "user", "content": "Which lake?"},
        {"role": "assistant", "content": "Thought: a\nAction: search[x]"},
        {"role": "user", "content": "Observation: y"},
    ]
}
TOOLS: dict[str, object] = {
    "messages": [
        {"role": "user", "content": "Which lake?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "y"},
    ]
}
PLAIN: dict[str, object] = {
    "messages": [{"role": "user", "content": "Which lake?"}, {"role": "assistant", "content": "Tamber."}]
}
MEMORY: dict[str, object] = {"steps": [{"task": "Which lake?"}, {"step_number": 1, "model_output": "x"}]}
LOG: dict[str, object] = {"question": "Which lake?", "log_data": '{"messages": []}'}
FAILED_LOG: dict[str, object] = {"question": "Which lake?", "log_data": None}
UNKNOWN: dict[str, object] = {"prompt": "Which lake?", "completion": "Tamber."}


def numbered(*values: dict[str, object] | None) -> Iterator[Record]:
    for position, value in enumerate(values, start=1):
        error = RecordError("bad") if value is None else None
        yield Record(position, "line", value, error, position)


@pytest.mark.parametrize(
    ("record", "name", "because"),
    [
        (REACT, "react-text", 'assistant turns hold "Action: name[…]" (1 of the first 1 records)'),
        (
            {"text": "Question: q\nThought: a\nAction: finish[x]"},
            "react-text",
            'assistant turns hold "Action: name[…]"',
        ),
        (TOOLS, "openai-chat", "assistant turns hold tool_calls"),
        (PLAIN, "openai-chat", "messages with role and content, without tool calls"),
        ({"conversations": PLAIN["messages"]}, "openai-chat", "messages with role and content"),
        (MEMORY, "smolagents", "steps hold model_output, observations or task"),
        ({**PLAIN, "memory": MEMORY}, "smolagents", "steps hold model_output, observations or task"),
        (LOG, "smolagents", "log_data holds messages"),
        ({"messages": [{"role": "MessageRole.TOOL_CALL", "content": "x"}]}, "smolagents", "the role tool-call"),
    ],
)
def test_a_record_shows_its_format_and_why(record: dict[str, object], name: str, because: str) -> None:
    detection = detect(numbered(record))
    assert detection.format is FORMATS[name]
    assert because in detection.because
    assert detection.others == ()


def test_react_text_beside_tool_calls_is_a_chat() -> None:
    messages = [
        {"role": "user", "content": "Which lake?"},
        {"role": "assistant", "content": "Thought: a\nAction: f[x]", "tool_calls": [{"function": {"name": "f"}}]},
    ]
    assert detect(numbered({"messages": messages})).format.name == "openai-chat"


@pytest.mark.parametrize("name", ["smolagents_1_13.jsonl", "smolagents_1_26.jsonl", "agent_distillation.jsonl"])
def test_real_memories_are_recognised_whole(name: str) -> None:
    records = list(iter_records(DATA / name))
    detection = detect(records)
    assert detection.format.name == "smolagents"
    assert f"({len(records)} of the first {len(records)} records)" in detection.because


def test_most_records_decide_and_the_others_are_named() -> None:
    detection = detect(numbered(None, REACT, TOOLS, MEMORY, REACT, UNKNOWN, REACT, TOOLS))
    assert detection.format.name == "react-text"
    assert "(3 of the first 7 records)" in detection.because
    assert detection.others == ("openai-chat", "smolagents")


def test_only_the_sample_is_read() -> None:
    records = numbered(REACT, REACT, TOOLS, TOOLS, TOOLS)
    assert detect(records, sample=2).format.name == "react-text"
    assert next(records).position == 3


def test_a_tie_names_both_formats_their_findings_and_the_option() -> None:
    with pytest.raises(InputError) as caught:
        detect(numbered(REACT, MEMORY), path=Path("mixed.jsonl"))
    for part in ("mixed.jsonl", "react-text (assistant turns", "smolagents (steps hold", "--format"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "no record could be read"),
        ([None, None], "no record could be read"),
        (
            [UNKNOWN, {}, {"messages": []}, {"messages": "x"}, {"steps": [1]}],
            "no known format fits the first 5 records",
        ),
    ],
)
def test_nothing_to_go_by_is_an_error(records: list[dict[str, object] | None], message: str) -> None:
    with pytest.raises(InputError, match=message):
        detect(numbered(*records))


@pytest.mark.parametrize(
    ("name", "content", "finding"),
    [
        ("broken.jsonl", b'{"a": 1,}\n[2]\n', "line 1: "),
        ("bytes.parquet", b"\x00\x9c\xff\n\x01", "line 1: "),
        ("plain.jsonl.gz", b"not zipped\n", "line 1: "),
        ("cut.json", b'[{"a": 1}, {"a"', "record 1: "),
    ],
    ids=["lines", "bytes", "gzip", "document"],
)
def test_a_file_without_a_readable_record_says_where_and_why_the_first_is_not(
    tmp_path: Path, name: str, content: bytes, finding: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    first = next(record.error for record in iter_records(path))
    assert first
    with pytest.raises(InputError) as caught:
        detect(iter_records(path), path=path)
    assert str(caught.value) == f"{path}: no record could be read; {finding}{first.reason}"


def test_no_known_format_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="--format, one of react-text, openai-chat, smolagents"):
        detect(numbered(UNKNOWN))


@pytest.mark.parametrize(
    ("record", "chosen", "message"),
    [
        (MEMORY, "react-text", "looks like smolagents (steps hold model_output, observations or task), "),
        (TOOLS, "react-text", "looks like openai-chat (assistant turns hold tool_calls), "),
        (REACT, "openai-chat", 'looks like react-text (assistant turns hold "Action: name[…]"), '),
        (LOG, "openai-chat", "looks like smolagents (log_data holds messages), "),
    ],
)
def test_a_record_of_another_format_is_an_error_of_that_record(
    record: dict[str, object], chosen: str, message: str
) -> None:
    with pytest.raises(RecordError) as caught:
        parse_checked(FORMATS[chosen], record)
    assert caught.value.reason == f"{message}the file is read as {chosen}"


def test_a_badly_formed_rollout_stays_with_the_format_of_its_file() -> None:
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "Thought: I give up"}]
    parsed = parse_checked(FORMATS["react-text"], {"messages": messages})
    assert parsed.steps[0].error_kind == "parse"


def test_a_person_who_names_the_format_is_obeyed() -> None:
    parsed = parse_checked(FORMATS["openai-chat"], REACT, insist=True)
    assert (parsed.dialect, parsed.steps[0].observation) == ("plain", "Observation: y")


@pytest.mark.parametrize(
    ("name", "record"), [("react-text", REACT), ("openai-chat", PLAIN), ("smolagents", FAILED_LOG)]
)
def test_a_records_own_format_reads_it(name: str, record: dict[str, object]) -> None:
    record = {**record, "error": "server gone"} if record is FAILED_LOG else record
    assert parse_checked(FORMATS[name], record).question == "Which lake?"


def test_an_unknown_name_lists_the_known_ones() -> None:
    assert format_named("smolagents") is FORMATS["smolagents"]
    with pytest.raises(
        InputError, match='there is no format "sharegpt"; known are react-text, openai-chat, smolagents'
    ):
        format_named("sharegpt")
