import json
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from episodes import Fill, episode, step
from publications import REPO, filled, publish
from simulated_hub import SimulatedHub

from pipelines.publish.detectors import find
from toolkit.api import open_lake
from toolkit.cli.main import run
from toolkit.formats.parsed import ParsedCall, ParsedTrajectory

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

AWS = "AKIA" + "Q3EGUHZLT7OWXY5D"
"""Of the form of a key; nobody's."""


def planted(secret: str) -> ParsedTrajectory:
    """An episode that shows `secret` in an observation, in a tool's result and in its answer."""
    parsed = episode("who has the key", secret, reward=1.0)
    leak = step("print(key)", f"the key is {secret}, keep it")
    leak.tool_calls.append(ParsedCall(name="read", arguments="{}", result=json.dumps({"lines": ["x", f"k={secret}"]})))
    parsed.steps.insert(0, leak)
    return parsed


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("AWS Access Key", f"key = {AWS}"),
        ("GitHub Token", "ghp_" + "a1B2" * 9),
        ("Hugging Face token", "export HF_TOKEN=hf_" + "aBcDeFgHiJ" * 3 + "kLmN"),
        ("Anthropic key", "sk-ant-api03-" + "aB3dE6gH9j" * 4),
        ("OpenAI key", "sk-proj-" + "aB3dE6gH9j" * 4),
        ("Slack Token", "xoxb-" + "123456789012-" * 2 + "AbCdEfGhIjKlMnOpQrStUvWx"),
        ("private key", "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE KEY-----"),
        ("JSON Web Token", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.SflKxwRJSMeKKF2QT4fw"),
        ("Basic Auth Credentials", "git clone https://bob:hunter2222@git.host/x"),
        ("secret by its name", 'password = "qR7tYu9wEz"'),
        ("mail address", "write to anna.schmidt@gmail.com."),
        ("phone number", "call +49 30 901820 now"),
        ("IBAN", "IBAN DE89 3704 0044 0532 0130 00"),
        ("payment card", "4111 1111 1111 1111"),
        ("payment card", "visa card 4111111111111111"),
        ("US social security number", "SSN 219-09-9998"),
        ("home directory", 'File "/home/aschmidt/run.py", line 3'),
    ],
)
def test_secrets_and_personal_data_are_found_by_their_form(kind: str, text: str) -> None:
    assert [found.kind for found in find(text)] == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111111 * 2 = 8222222222222222",
        "total = 79927398713 + 49927398716 - 1234567812345670",
        "call me on 415-555-2671, or 030 901820",
        "2024-05-17 and 10-12-1995, 555-12-34567",
        "user@example.com, x@y, @decorator, a@b.c",
        "/home/user/run.py, /tmp/x.py, C:\\Users\\Public\\x",
        "password = getpass(); api_key = os.environ['KEY']; token = '<your token here>'",
        "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        'the secret of the river is its key: "Passau"',
        "GB is 12 km from DE, AB12 3456",
    ],
)
def test_what_only_looks_alike_is_no_finding(text: str) -> None:
    assert find(text) == []


def test_no_secret_is_shown_whole() -> None:
    (found,) = find(f"key = {AWS}")
    assert found.value == AWS
    assert AWS not in found.masked
    assert AWS[2:-1] not in found.masked


def test_a_planted_key_blocks_and_every_place_is_named(
    fill: Fill, hub: SimulatedHub, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = filled(fill, [episode("fine"), planted(AWS)])
    assert publish(lake, "--json", "--confirm") == 2
    printed = capsys.readouterr()
    assert AWS not in printed.out + printed.err
    assert not hub.repos
    places = {(f["table"], f["step"], f["column"]) for f in json.loads(printed.out)["findings"]}
    assert {
        ("steps", 0, "observation"),
        ("tool_calls", 0, "result/lines/1"),
        ("trajectories", None, "final_answer"),
    } <= places
    text = f"the key is {AWS}, keep it"
    spans = {(f["start"], f["end"]) for f in json.loads(printed.out)["findings"] if f["column"] == "observation"}
    assert (text.index(AWS), text.index(AWS) + len(AWS)) in spans
    assert publish(lake, "--confirm") == 2
    printed = capsys.readouterr()
    assert "AWS Access Key" in printed.out
    assert AWS not in printed.out + printed.err


def test_redaction_replaces_every_place_and_says_so(fill: Fill, hub: SimulatedHub, tmp_path: Path) -> None:
    lake = filled(fill, [episode("fine"), planted(AWS), planted("anna.schmidt@gmail.com")])
    assert publish(lake, "--redact", "--out", tmp_path / "out", "--confirm") == 0
    for path, content in hub.files(REPO).items():
        if path.endswith(".parquet"):
            (tmp_path / "one.parquet").write_bytes(content)
            content = repr(pq.read_table(tmp_path / "one.parquet").to_pylist()).encode()
        assert AWS.encode() not in content, path
        assert b"anna.schmidt" not in content, path
    assert run(["pull", REPO, "--lake", str(tmp_path / "pulled")]) == 0
    pulled = open_lake(tmp_path / "pulled")
    query = "SELECT trajectory_id, content_hash, final_answer FROM trajectories ORDER BY 1"
    before, after = lake.sql(query).fetchall(), pulled.sql(query).fetchall()
    assert [row[0] for row in before] == [row[0] for row in after]
    assert sum(old[1] != new[1] for old, new in zip(before, after, strict=True)) == 2
    markers = {"[AWS Access Key 1 removed]", "[mail address 1 removed]"}
    assert {row[2] for row in after} == {"yes", *markers}
    results = pulled.sql("SELECT result FROM tool_calls WHERE name = 'read'").fetchall()
    assert {json.loads(row[0])["lines"][1] for row in results} == {f"k={marker}" for marker in markers}
    manifest = json.loads(hub.files(REPO)["manifest.json"])
    hashes = [store.sql("SELECT content_hash FROM selections").fetchall()[0][0] for store in (lake, pulled)]
    assert (
        manifest["redaction"]["content_hash_before"] == hashes[0] != hashes[1] == manifest["selection"]["content_hash"]
    )
    assert manifest["redaction"]["trajectories"] == manifest["redaction"]["values"] == 2
    assert b"were replaced by markers" in hub.files(REPO)["README.md"]


def test_redaction_leaves_what_stands_beside_a_secret_as_it_was(fill: Fill, hub: SimulatedHub, tmp_path: Path) -> None:
    leaking, long = planted("anna.schmidt@gmail.com"), 2**128
    deep = "[" * 150 + "]" * 150
    arguments = f'{{"deep":{deep},"e":{long},"half":0.5,"m":"anna.schmidt@gmail.com"}}'
    leaking.steps[0].tool_calls.append(ParsedCall(name="send", arguments=arguments, result="null"))
    lake = filled(fill, [leaking])
    assert publish(lake, "--redact", "--confirm") == 0
    assert run(["pull", REPO, "--lake", str(tmp_path / "pulled")]) == 0
    found = open_lake(tmp_path / "pulled").sql("SELECT arguments FROM tool_calls WHERE name = 'send'").fetchall()
    assert found == [(arguments.replace("anna.schmidt@gmail.com", "[mail address 1 removed]"),)]


def test_the_words_of_the_publisher_are_looked_at_too(fill: Fill, hub: SimulatedHub, tmp_path: Path) -> None:
    (tmp_path / "about.md").write_text(f"Made with {AWS}.")
    assert publish(filled(fill), "--about", tmp_path / "about.md", "--confirm") == 2
    assert not hub.repos


def test_a_part_without_licence_blocks_and_the_option_is_named(
    fill: Fill, hub: SimulatedHub, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = filled(fill)
    assert publish(lake, "--confirm", licenses=[]) == 2
    assert "--license d=SPDX" in capsys.readouterr().err
    assert not hub.repos
    for wrong, finding in (
        (["--license", "d=free for all"], "no SPDX licence expression"),
        (["--license", "d=MIT", "--license", "e=MIT"], "no such dataset"),
        (["--license", "d=MIT", "--license", "d=MIT"], "twice"),
    ):
        assert publish(lake, "--confirm", licenses=wrong) == 2
        assert finding in capsys.readouterr().err
    assert publish(lake, "--confirm", licenses=["--license", "d=cc-by-sa-4.0"]) == 0
    card = hub.files(REPO)["README.md"].decode()
    assert "license: cc-by-sa-4.0" in card
    assert "| imported trajectories | d |" in card


def prepared(fill: Fill, tmp_path: Path) -> Path:
    assert publish(filled(fill), "--out", tmp_path / "out") == 0
    return tmp_path / "out"


def refused(out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert run(["publish", REPO, "--from", str(out), "--confirm"]) == 2
    return capsys.readouterr().err


def restate(out: Path, path: str) -> None:
    """Make the manifest agree with the file as it is now."""
    import hashlib

    manifest, content = json.loads((out / "manifest.json").read_text()), (out / path).read_bytes()
    manifest["files"][path] = {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (out / "manifest.json").write_bytes(orjson.dumps(manifest))


def test_a_tampered_number_on_the_card_blocks(
    fill: Fill, hub: SimulatedHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = prepared(fill, tmp_path)
    card = out / "README.md"
    text = card.read_text()
    assert "4 trajectories of LLM agents" in text
    card.write_text(text.replace("4 trajectories of LLM agents", "5 trajectories of LLM agents"))
    restate(out, "README.md")
    message = refused(out, capsys)
    assert "of README.md says '5 trajectories" in message
    assert "the files say '4 trajectories" in message
    assert not hub.repos


def test_a_tampered_number_in_the_manifest_blocks(
    fill: Fill, hub: SimulatedHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = prepared(fill, tmp_path)
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["facts"]["datasets"][0]["correct"] += 1
    (out / "manifest.json").write_text(json.dumps(manifest))
    assert "datasets[0].correct is stated as" in refused(out, capsys)
    assert not hub.repos


def test_tampered_data_blocks_whatever_the_manifest_says(
    fill: Fill, hub: SimulatedHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = prepared(fill, tmp_path)
    path = "data/default/train-00000-of-00001.parquet"
    table = pq.read_table(out / path)
    pq.write_table(table.slice(1), out / path)
    assert "is not as manifest.json says" in refused(out, capsys)
    restate(out, path)
    assert "trajectories is stated as 4" in refused(out, capsys) or "stated as" in refused(out, capsys)
    assert not hub.repos


def test_a_key_planted_into_prepared_files_blocks(
    fill: Fill, hub: SimulatedHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = prepared(fill, tmp_path)
    path = "lake/steps.parquet"
    table = pq.read_table(out / path)
    place = table.schema.get_field_index("thought")
    thoughts = pa.array([AWS, *table["thought"].to_pylist()[1:]])
    pq.write_table(table.set_column(place, table.schema.field(place), thoughts), out / path)
    restate(out, path)
    assert "AWS Access Key" in refused(out, capsys)
    assert not hub.repos
