"""Runs a BERT sentence encoder from its checkpoint on onnxruntime, on the CPU.

Why not torch: it takes 754 MB on disk and seconds to import. Invariants: one text a run,
so that there is no padding and equal texts have equal vectors to the last bit; vectors
agree with sentence-transformers to 1e-6. Not covered: GPUs, see `e5`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from toolkit.retrieval.bert_graph import INPUT, BertGraph

if TYPE_CHECKING:
    from toolkit.retrieval.embedder import Vectors


class Encoder:
    """A checkpoint in memory."""

    def __init__(self, directory: Path, max_tokens: int) -> None:
        """Read a directory with `config.json`, `tokenizer.json` and `model.safetensors`."""
        self._tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
        self._tokenizer.enable_truncation(max_tokens)
        self._tokenizer.no_padding()
        config = json.loads((directory / "config.json").read_text())
        graph = BertGraph(
            load_file(directory / "model.safetensors"),
            n_layers=config["num_hidden_layers"],
            n_heads=config["num_attention_heads"],
            epsilon=config["layer_norm_eps"],
        )
        options = onnxruntime.SessionOptions()
        # Two threads inside one short text are slower than one: each layer waits for both.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._weights = [onnxruntime.OrtValue.ortvalue_from_numpy(weight) for weight in graph.weights.values()]
        options.add_external_initializers(list(graph.weights), self._weights)
        model = graph.model.SerializeToString()
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._dimensions: int = config["hidden_size"]
        self._n_threads = len(os.sched_getaffinity(0))

    def encode(self, texts: Sequence[str]) -> Vectors:
        """One unit vector a text; they are encoded side by side, one core each."""
        if len(texts) < 2:
            return np.concatenate([np.zeros((0, self._dimensions), np.float32), *map(self._encode_one, texts)])
        pool = ThreadPoolExecutor(min(self._n_threads, len(texts)))
        try:
            return np.concatenate(list(pool.map(self._encode_one, texts)))
        finally:
            pool.shutdown(cancel_futures=True)  # after Ctrl-C nobody wants the rest of the batch

    def _encode_one(self, text: str) -> Vectors:
        ids = np.array([self._tokenizer.encode(text).ids], np.int64)
        vector: Vectors = self._session.run(None, {INPUT: ids})[0]
        return vector
