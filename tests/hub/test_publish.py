import hashlib
import json
import sys
from pathlib import Path

import pytest
from episodes import Fill, episode
from publications import REPO, filled, publish, select
from simulated_hub import READ_TOKEN, SimulatedHub

from schemas import TABLES
from toolkit.api import Lake, open_lake
from toolkit.cli.main import run

# The client's own upload of large files; it is no business of the caller's.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


def rows_of(lake: Lake, table: str, where: str = "true") -> list[dict[str, object]]:
    order = ", ".join(TABLES[table].key)
    rows: list[dict[str, object]] = lake.sql(f"SELECT * FROM {table} WHERE {where} ORDER BY {order}").pl().to_dicts()
    return rows


def test_without_confirm_nothing_leaves_the_machine(
    fill: Fill, hub: SimulatedHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = filled(fill)
    assert publish(lake, "--out", tmp_path / "out") == 0
    printed = capsys.readouterr()
    assert {method for method, _ in hub.requests} == {"GET"}
    assert not hub.repos
    assert "data/default/train-00000-of-00001.parquet" in printed.out
    assert "a dry run" in printed.err
    assert (tmp_path / "out/README.md").read_text().startswith("---\n")


def test_a_publication_is_private_and_what_the_dry_run_showed(fill: Fill, hub: SimulatedHub, tmp_path: Path) -> None:
    lake, out = filled(fill), tmp_path / "out"
    assert publish(lake, "--out", out) == 0
    assert run(["publish", REPO, "--from", str(out), "--confirm"]) == 0
    assert hub.repo(REPO).private
    sent = hub.files(REPO)
    assert sent.pop(".gitattributes")
    assert sent == {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_only_what_changed_is_sent_and_what_is_gone_is_removed(fill: Fill, hub: SimulatedHub) -> None:
    lake = filled(fill)
    assert publish(lake, "--validation", "0.5", "--confirm") == 0
    assert publish(lake, "--validation", "0.5", "--confirm") == 0
    assert len(hub.commit_lines) == 1
    hub.repo(REPO).commits[hub.repo(REPO).branches["main"]]["notes.md"] = (b"by hand", False)
    assert publish(lake, "--confirm") == 0
    sent = {str(line["value"]["path"]): line["key"] for line in hub.commit_lines[1] if line["key"] != "header"}  # type: ignore[index]
    assert not [path for path in sent if path.startswith("lake/")]
    assert {path for path, key in sent.items() if key == "deletedFile"} == {
        f"data/{name}/validation-00000-of-00001.parquet" for name in ("default", "messages", "steps")
    }
    assert "notes.md" in hub.files(REPO)


def test_pull_restores_a_lake_with_equal_rows_and_hashes(fill: Fill, hub: SimulatedHub, tmp_path: Path) -> None:
    lake = filled(fill)
    assert publish(lake, "--confirm") == 0
    assert run(["pull", REPO, "--lake", str(tmp_path / "pulled")]) == 0
    pulled = open_lake(tmp_path / "pulled")
    kept = "trajectory_id IN (SELECT trajectory_id FROM decisions WHERE kept)"
    for table in TABLES:
        where = kept if TABLES[table].follows == "trajectories" or table == "trajectories" else "true"
        if table == "tasks":
            where = f"task_id IN (SELECT task_id FROM trajectories WHERE {kept})"
        assert rows_of(pulled, table) == rows_of(lake, table, where), table
    assert len(rows_of(pulled, "trajectories")) == 4
    assert len(rows_of(pulled, "decisions")) == 5
    assert len(rows_of(pulled, "step_weights")) == 2


def test_pulling_again_changes_nothing_and_never_replaces_another_lake(
    fill: Fill, hub: SimulatedHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = filled(fill)
    assert publish(lake, "--confirm") == 0
    assert run(["pull", REPO, "--lake", str(tmp_path / "pulled")]) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "pulled").rglob("*") if path.is_file()}
    assert run(["pull", REPO, "--lake", str(tmp_path / "pulled")]) == 0
    assert {path: path.read_bytes() for path in (tmp_path / "pulled").rglob("*") if path.is_file()} == before
    select(lake, "name: v1\nsteps: [{sample: {n: 1}}]")
    assert publish(lake, "--confirm") == 0
    assert run(["pull", REPO, "--lake", str(tmp_path / "pulled")]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in (tmp_path / "pulled").rglob("*") if path.is_file()} == before


def test_history_of_a_pulled_lake_can_be_vacuumed(fill: Fill, hub: SimulatedHub, tmp_path: Path) -> None:
    fill([episode("in a commit of its own")], start=9)
    assert publish(filled(fill), "--confirm") == 0
    assert run(["pull", REPO, "--lake", str(tmp_path / "pulled")]) == 0
    assert run(["vacuum", "--history", "--lake", str(tmp_path / "pulled")]) == 0


def test_a_pull_can_pin_a_tag_a_branch_or_a_commit(fill: Fill, hub: SimulatedHub, tmp_path: Path) -> None:
    lake = filled(fill)
    assert publish(lake, "--tag", "v1.0", "--confirm") == 0
    first = hub.repo(REPO).branches["main"]
    select(lake, "name: v1\nsteps: [{sample: {n: 1}}]")
    assert publish(lake, "--revision", "small", "--confirm") == 0
    assert hub.repo(REPO).branches["main"] == first
    for revision, trajectories in (("v1.0", 4), (first, 4), ("small", 1), ("main", 4)):
        place = tmp_path / revision
        assert run(["pull", REPO, "--revision", revision, "--lake", str(place)]) == 0
        assert len(rows_of(open_lake(place), "trajectories")) == trajectories


def test_a_tag_is_never_moved(fill: Fill, hub: SimulatedHub, capsys: pytest.CaptureFixture[str]) -> None:
    lake = filled(fill)
    assert publish(lake, "--tag", "v1.0", "--confirm") == 0
    tagged = dict(hub.repo(REPO).tags)
    select(lake, "name: v1\nsteps: [{sample: {n: 1}}]")
    assert publish(lake, "--tag", "v1.0", "--confirm") == 2
    assert "another commit" in capsys.readouterr().err
    assert hub.repo(REPO).tags == tagged


def published_tree(hub: SimulatedHub) -> dict[str, tuple[bytes, bool]]:
    """The files on the main branch, to be changed."""
    repo = hub.repo(REPO)
    return dict(repo.commits[repo.branches["main"]])


def refuse_to_pull(hub: SimulatedHub, tree: dict[str, tuple[bytes, bool]], lake: Path) -> None:
    """Somebody commits `tree`, and a pull of it makes nothing."""
    hub.repo(REPO).add_commit("main", tree)
    assert run(["pull", REPO, "--lake", str(lake)]) == 2
    assert not lake.exists()


@pytest.mark.parametrize("damage", ["lake/steps.parquet", "lake/trajectories.parquet"])
def test_a_damaged_publication_is_not_restored(
    fill: Fill, hub: SimulatedHub, tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = filled(fill)
    assert publish(lake, "--confirm") == 0
    tree = published_tree(hub)
    tree[damage] = (tree[damage][0][:-9] + b"x" + tree[damage][0][-8:], True)
    refuse_to_pull(hub, tree, tmp_path / "pulled")
    assert f"{damage} is not as manifest.json says" in capsys.readouterr().err


def test_rows_that_no_lake_may_hold_are_refused_even_if_the_manifest_fits(
    fill: Fill, hub: SimulatedHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    lake = filled(fill)
    assert publish(lake, "--confirm") == 0
    tree = published_tree(hub)
    (tmp_path / "t.parquet").write_bytes(tree["lake/trajectories.parquet"][0])
    table = pq.read_table(tmp_path / "t.parquet")
    bad = pc.replace_substring_regex(table["stop_reason"], ".*", "whim").cast(pa.string())
    place = table.schema.get_field_index("stop_reason")
    pq.write_table(table.set_column(place, table.schema.field(place), bad), tmp_path / "t.parquet")
    content = (tmp_path / "t.parquet").read_bytes()
    manifest = json.loads(tree["manifest.json"][0])
    manifest["files"]["lake/trajectories.parquet"] = {
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    tree |= {"lake/trajectories.parquet": (content, True), "manifest.json": (json.dumps(manifest).encode(), False)}
    refuse_to_pull(hub, tree, tmp_path / "pulled")
    assert "stop_reason" in capsys.readouterr().err


def test_a_manifest_cannot_lead_out_of_its_directory(
    fill: Fill, hub: SimulatedHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = filled(fill)
    assert publish(lake, "--confirm") == 0
    tree = published_tree(hub)
    manifest = json.loads(tree["manifest.json"][0])
    manifest["files"]["lake/../../evil"] = manifest["files"]["README.md"]
    tree["manifest.json"] = (json.dumps(manifest).encode(), False)
    refuse_to_pull(hub, tree, tmp_path / "pulled")
    assert "no path of a publication" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("token", "finding"),
    [
        ("hf_" + "x" * 34, "does not accept the token"),
        ("", "does not accept the token"),
        (READ_TOKEN, "needs the role `write`"),
    ],
    ids=["401", "no token", "403"],
)
def test_a_token_that_does_not_do_is_explained(
    fill: Fill,
    hub: SimulatedHub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    token: str,
    finding: str,
) -> None:
    lake = filled(fill)
    monkeypatch.setenv("HF_TOKEN", token)
    assert publish(lake, "--confirm") == 2
    printed = capsys.readouterr().err
    assert finding in printed
    assert not token or token not in printed
    assert not hub.repos


def test_what_is_not_there_or_not_visible_is_explained(
    fill: Fill, hub: SimulatedHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["pull", "org/none", "--lake", str(tmp_path / "pulled")]) == 2
    assert "there is no dataset org/none" in capsys.readouterr().err
    assert publish(filled(fill), "--confirm") == 0
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    assert run(["pull", REPO, "--revision", "main", "--lake", str(tmp_path / "pulled")]) == 2
    assert "private and the token may not see it" in capsys.readouterr().err


def test_a_public_repository_is_not_published_to_by_accident(
    fill: Fill, hub: SimulatedHub, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = filled(fill)
    assert publish(lake, "--public", "--confirm") == 0
    assert not hub.repo(REPO).private
    assert publish(lake, "--confirm") == 2
    assert "is public: say --public" in capsys.readouterr().err


def test_a_busy_repository_is_waited_for(fill: Fill, hub: SimulatedHub) -> None:
    hub.faults["busy"] = 1
    assert publish(filled(fill), "--confirm") == 0
    assert len(hub.commit_lines) == 1


def test_a_commit_in_between_is_not_overwritten(
    fill: Fill, hub: SimulatedHub, capsys: pytest.CaptureFixture[str]
) -> None:
    def someone_else() -> None:
        repo = hub.repo(REPO)
        repo.add_commit("main", {**repo.commits[repo.branches["main"]], "theirs.md": (b"x", False)})

    lake = filled(fill)
    hub.before_commit = someone_else
    assert publish(lake, "--confirm") == 1
    assert "someone else committed in between" in capsys.readouterr().err
    assert publish(lake, "--confirm") == 0
    assert {"theirs.md", "manifest.json"} <= hub.files(REPO).keys()


def test_a_broken_upload_goes_on_without_sending_finished_files_again(
    fill: Fill, hub: SimulatedHub, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = filled(fill)
    hub.faults["drop commit"] = 1
    assert publish(lake, "--confirm") == 1
    assert "what was uploaded whole is not sent again" in capsys.readouterr().err
    before = list(hub.puts)
    assert publish(lake, "--confirm") == 0
    assert hub.puts == before
    assert "manifest.json" in hub.files(REPO)


def test_a_file_whose_connection_broke_is_the_only_one_sent_twice(fill: Fill, hub: SimulatedHub) -> None:
    hub.faults["drop put"] = 1
    assert publish(filled(fill), "--confirm") == 0
    assert len(hub.puts) == len(set(hub.puts)) + 1


def test_an_unreachable_hub_stops_no_dry_run_and_is_explained(
    fill: Fill, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = filled(fill)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert publish(lake) == 0
    assert "the Hub could not be asked" in capsys.readouterr().err
    assert publish(lake, "--confirm") == 1
    assert "could not be looked at" in capsys.readouterr().err


def test_what_was_not_uploaded_is_no_comfort_to_a_pull(
    fill: Fill, hub: SimulatedHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish(filled(fill), "--confirm") == 0
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert run(["pull", REPO, "--lake", str(tmp_path / "pulled")]) == 1
    said = capsys.readouterr().err
    assert f"{REPO} could not be " in said
    assert "uploaded" not in said


def test_a_publication_without_its_extra_writes_nothing(
    fill: Fill, hub: SimulatedHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = filled(fill)
    # As if it were not installed.
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert publish(lake, "--out", tmp_path / "out") == 2
    assert "needs matplotlib: pip install" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_publication_that_failed_leaves_its_directory_empty(
    fill: Fill, hub: SimulatedHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake, out = filled(fill), tmp_path / "out"
    assert publish(lake, "--out", out, "--validation", "0.0001") == 2
    assert not list(out.iterdir())
    assert publish(lake, "--out", out) == 0
    assert publish(lake, "--out", out) == 2
    assert f"publish what it holds by --from {out}" in capsys.readouterr().err
    (out / "manifest.json").unlink()
    assert publish(lake, "--out", out) == 2
    assert capsys.readouterr().err == f"error: {out} is not empty; choose another --out\n"


def test_wrong_options_are_named(fill: Fill, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lake = filled(fill)
    cases: list[tuple[list[str], str]] = [
        (["publish", REPO, "--lake", str(lake.path)], "one of --selection"),
        (["publish", "name", "--selection", "v1", "--lake", str(lake.path)], "expected ORG/NAME"),
        (["publish", REPO, "--selection", "v2", "--lake", str(lake.path)], "there are v1"),
        (["publish", REPO, "--from", str(tmp_path / "none")], "there is no such directory"),
        (["publish", REPO, "--from", str(lake.path)], "has no manifest.json"),
        (
            [
                "publish",
                REPO,
                "--selection",
                "v1",
                "--lake",
                str(lake.path),
                "--out",
                str(lake.path / "lake.json" / "x"),
            ],
            "cannot be made a directory: Not a directory",
        ),
    ]
    for arguments, finding in cases:
        assert run(arguments) == 2
        assert finding in capsys.readouterr().err
    assert publish(lake, "--validation", "1.5") == 2
    assert publish(lake, "--out", lake.path) == 2
    assert "choose another --out" in capsys.readouterr().err


def test_a_selection_whose_trajectories_were_tried_again_is_not_published(
    fill: Fill, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = filled(fill, [episode("a"), episode("b")])
    select(lake)
    with lake.write("retry") as batch:
        table = lake.sql("SELECT * REPLACE (1 AS attempt, repeat('e', 24) AS content_hash) FROM trajectories LIMIT 1")
        batch.add_arrow("trajectories", table.to_arrow_table())
    assert publish(lake) == 2
    assert "tried again since it was made" in capsys.readouterr().err
