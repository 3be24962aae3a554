"""Builds that are killed, repeated, refused."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from slow_build import town_corpus
from word_embedder import DIMENSIONS, WordEmbedder

from toolkit.contracts import Passage
from toolkit.errors import InputError
from toolkit.retrieval.build import IndexBuild, build_index
from toolkit.retrieval.chroma import ChromaStore
from toolkit.retrieval.embedder import passage_text
from toolkit.retrieval.index import open_info, read_info
from toolkit.retrieval.retriever import ChromaRetriever
from toolkit.retrieval.vectors import VectorFile

HERE = Path(__file__).parent


def contents(index: Path, n_passages: int) -> list[Passage]:
    """Every passage of an index, found by its own vector, with a score of 1 in its first place."""
    passages = list(town_corpus(n_passages).passages())
    store = ChromaStore.open(index / "chroma")
    try:
        assert store.count() == n_passages
        vectors = WordEmbedder().embed_passages([passage_text(passage) for passage in passages])
        return [found[0] for found in store.nearest(vectors, 1)]
    finally:
        store.close()


def kill_when(condition: Callable[[], bool], index: Path, size: int, delay_s: float, batch_size: int) -> None:
    """Build in another process and kill it as soon as `condition` holds."""
    command = [sys.executable, str(HERE / "slow_build.py"), str(index), str(size), str(delay_s), str(batch_size)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while not condition():
            assert process.poll() is None, process.stderr and process.stderr.read().decode()
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL


def test_a_build_killed_while_embedding_goes_on_where_it_stopped(tmp_path: Path) -> None:
    index, size = tmp_path / "index", 300
    vectors = VectorFile(index / "vectors.f32", DIMENSIONS)
    kill_when(lambda: len(vectors) >= 40, index, size, 0.002, 8)
    before = len(vectors)
    assert 40 <= before < size
    assert not read_info(index).complete
    embedder = WordEmbedder()
    build_index(index, town_corpus(size), embedder, batch_size=8)
    assert sum(map(len, embedder.batches)) == size - before
    build_index(tmp_path / "unkilled", town_corpus(size), WordEmbedder())
    assert contents(index, size) == contents(tmp_path / "unkilled", size)


def test_a_build_killed_while_chroma_writes_ends_whole(tmp_path: Path) -> None:
    index, size = tmp_path / "index", 2_400
    kill_when(lambda: any((index / "chroma.building").glob("*/data_level0.bin")), index, size, 0.0, 2_000)
    assert not (index / "chroma").exists()
    assert not read_info(index).complete
    embedder = WordEmbedder()
    build_index(index, town_corpus(size), embedder)
    assert embedder.batches == []
    assert [passage.score for passage in contents(index, size)] == pytest.approx([1] * size, abs=1e-5)
    assert sorted(path.name for path in index.iterdir()) == ["chroma", "index.json", "lock"]


@pytest.mark.slow
def test_a_build_killed_again_and_again_ends_whole(tmp_path: Path) -> None:
    index, size, kills, moments = tmp_path / "index", 2_400, 0, random.Random(0)
    command = [sys.executable, str(HERE / "slow_build.py"), str(index), str(size), "0.002", "16"]
    while not (index / "index.json").exists() or not read_info(index).complete:
        with subprocess.Popen(command) as process:
            try:
                # Embedding alone takes 4.8 s, so the first two kills come too early for the build to end.
                assert process.wait(timeout=moments.uniform(1, 2 + kills)) == 0
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
    assert kills >= 2
    assert [passage.score for passage in contents(index, size)] == pytest.approx([1] * size, abs=1e-5)


def test_a_row_torn_by_a_kill_is_embedded_again(tmp_path: Path) -> None:
    size = 10
    whole = WordEmbedder().embed_passages([passage_text(passage) for passage in town_corpus(size).passages()])
    with IndexBuild(tmp_path, town_corpus(size), WordEmbedder()):
        (tmp_path / "vectors.f32").write_bytes(whole[:4].tobytes()[:-1])
    embedder = WordEmbedder()
    with IndexBuild(tmp_path, town_corpus(size), embedder) as build:
        assert build.n_embedded == 3
        build.embed(batch_size=4)
        assert np.array_equal(VectorFile(tmp_path / "vectors.f32", DIMENSIONS).read(0, size), whole)
        build.store()
    assert [len(batch) for batch in embedder.batches] == [4, 3]


def test_progress_tells_how_many_passages_are_embedded(tmp_path: Path) -> None:
    told: list[int] = []
    build_index(tmp_path, town_corpus(10), WordEmbedder(), batch_size=4, progress=told.append)
    assert told == [4, 8, 10]


def test_a_complete_index_is_left_as_it_is(tmp_path: Path) -> None:
    build_index(tmp_path, town_corpus(10), WordEmbedder())
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "chroma").rglob("*")}
    embedder = WordEmbedder()
    info = build_index(tmp_path, town_corpus(10), embedder)
    assert embedder.batches == []
    assert info == read_info(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "chroma").rglob("*")} == before


def test_another_embedder_is_refused_and_both_are_named(tmp_path: Path) -> None:
    build_index(tmp_path, town_corpus(10), WordEmbedder("1"))
    with pytest.raises(InputError, match=r"made with the embedder words \(1;.*this is words \(2;"):
        build_index(tmp_path, town_corpus(10), WordEmbedder("2"))
    with pytest.raises(InputError, match=r"made with the embedder words \(1;.*this is words \(2;"):
        ChromaRetriever(tmp_path, WordEmbedder("2"))


def test_another_corpus_is_refused_and_both_are_named(tmp_path: Path) -> None:
    build_index(tmp_path, town_corpus(10), WordEmbedder())
    with pytest.raises(InputError, match=r"holds an index of towns \(10 passages.*these are towns \(11 passages"):
        build_index(tmp_path, town_corpus(11), WordEmbedder())


def test_an_index_in_progress_is_not_searched(tmp_path: Path) -> None:
    with IndexBuild(tmp_path, town_corpus(10), WordEmbedder()) as build:
        build.embed()
    with pytest.raises(InputError, match="the index of towns is not complete; run `toolkit index`"):
        ChromaRetriever(tmp_path, WordEmbedder())


def test_two_builds_of_one_index_do_not_meet(tmp_path: Path) -> None:
    with IndexBuild(tmp_path, town_corpus(10), WordEmbedder()):
        with pytest.raises(InputError, match="another process is building this index"):
            build_index(tmp_path, town_corpus(10), WordEmbedder())
    build_index(tmp_path, town_corpus(10), WordEmbedder())


def test_a_directory_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="expected an index, an empty directory or nothing"):
        build_index(tmp_path, town_corpus(10), WordEmbedder())
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_a_missing_a_torn_and_a_newer_index_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no index; make one with `toolkit index"):
        open_info(tmp_path)
    build_index(tmp_path, town_corpus(10), WordEmbedder())
    path = tmp_path / "index.json"
    text = path.read_text()
    path.write_text(text[:40])
    with pytest.raises(InputError, match="not written by this toolkit"):
        open_info(tmp_path)
    path.write_text(text.replace('"format": 1', '"format": 2'))
    with pytest.raises(InputError, match="reads format 1, the index has format 2"):
        open_info(tmp_path)
    path.write_text(text)
    assert open_info(tmp_path).complete


def test_the_identity_of_an_index_does_not_depend_on_where_it_is(tmp_path: Path) -> None:
    first = build_index(tmp_path / "a", town_corpus(10), WordEmbedder())
    second = build_index(tmp_path / "b", town_corpus(10), WordEmbedder(), batch_size=3)
    other = build_index(tmp_path / "c", town_corpus(11), WordEmbedder())
    assert first.identity == second.identity != other.identity


@pytest.mark.parametrize("size", [2, 120, 2_001])
def test_the_whole_graph_is_on_disk_when_a_build_ends(tmp_path: Path, size: int) -> None:
    # Chroma writes this file when, and only when, it has written the graph; else each opening builds it anew.
    build_index(tmp_path, town_corpus(size), WordEmbedder())
    assert len(list((tmp_path / "chroma").glob("*/index_metadata.pickle"))) == 1


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_tiny_corpus_is_an_index_too(tmp_path: Path, size: int) -> None:
    build_index(tmp_path, town_corpus(size), WordEmbedder())
    assert [passage.title for passage in contents(tmp_path, size)] == [f"Town {n}" for n in range(size)]
