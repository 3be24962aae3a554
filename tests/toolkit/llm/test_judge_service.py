"""A real vLLM server judges: what a random model writes under a schema is a verdict all the same."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from episodes import Fill, episode
from tiny_model import make_tiny_adapter, make_tiny_model
from vllm_service import vllm_server

from toolkit.cli.main import run

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    base = make_tiny_model(tmp_path_factory.mktemp("tiny") / "base")
    adapter = make_tiny_adapter(base.parent / "adapter", base)
    with vllm_server(base, adapter, tmp_path_factory.mktemp("log") / "vllm.log") as base_url:
        yield base_url


@pytest.mark.parametrize(("rubric", "count"), [("factual", 2), ("step", 4), ("rollout", 2)])
def test_a_real_vllm_server_keeps_to_the_schema_of_every_rubric(
    rubric: str, count: int, url: str, fill: Fill, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = fill([episode("Who?", "me"), episode("Where?", "there")])
    command = ["judge", rubric, "--model", "openai:tiny", "--base-url", url, "--completion-tokens", "4000"]
    command += ["--lake", str(tmp_path / "lake"), "--json"]
    assert run(command) == 0, capsys.readouterr()
    report = json.loads(capsys.readouterr().out)
    assert (report["judged"], report["unreadable"], report["failed"]) == (count, {}, {})
    rows = lake.sql(f"SELECT details FROM scores WHERE scorer = '{report['scorer']}'").fetchall()
    assert len(rows) == count
    for (details,) in rows:
        found = json.loads(details)
        # The limit of the schema is kept by the server, not by us.
        assert len(found["reason"]) <= 800
        assert found["completion_tokens"] > 20
    # And nothing of it is asked for a second time.
    assert run(command) == 0
    assert json.loads(capsys.readouterr().out)["judged"] == 0
