"""The computation of a BERT encoder as an ONNX graph, to be run on weights from a checkpoint.

One sequence without padding goes in, the unit vector of its mean token comes out. Shapes
in comments: t tokens, h hidden size, a heads. Not covered: other activations than gelu,
token types, padding, the position schemes of later encoders.
Source: Devlin et al. 2018, section 3; Vaswani et al. 2017, section 3.2; Reimers and Gurevych 2019, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

INPUT = "ids"
OUTPUT = "embedding"
_OPSET = 20
"""The first one with Gelu."""
_IR_VERSION = 9
_INLINE_BYTES = 1024
"""Smaller constants stand in the graph itself."""


class BertGraph:
    """`model` is the graph, `weights` the large constants, which it names and the runtime is handed in memory.

    Copying them through a serialised model would cost half a second at every start.
    """

    def __init__(self, checkpoint: Mapping[str, Array], *, n_layers: int, n_heads: int, epsilon: float) -> None:
        self.weights: dict[str, Array] = {}
        self._checkpoint = checkpoint
        self._epsilon = epsilon
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []
        hidden = len(checkpoint["embeddings.LayerNorm.weight"])
        self._scale = self._constant("scale", np.float32(1 / math.sqrt(hidden // n_heads)))
        self._to_heads = self._constant("to_heads", np.array([0, 0, n_heads, hidden // n_heads]))
        self._from_heads = self._constant("from_heads", np.array([0, 0, hidden]))
        states = self._embeddings()
        for layer in range(n_layers):
            states = self._layer(states, f"encoder.layer.{layer}")
        mean = self._node("ReduceMean", states, self._constant("tokens_axis", np.array([1])), keepdims=0)  # (1, h)
        self._nodes.append(helper.make_node("LpNormalization", [mean], [OUTPUT], axis=-1, p=2))
        self.model = self._model(hidden)

    def _embeddings(self) -> str:
        """(1, t) ids to (1, t, h)."""
        key = "embeddings"
        # Every token is of type 0, whose vector is added to each word's once and for all.
        words = (
            self._checkpoint[f"{key}.word_embeddings.weight"]
            + self._checkpoint[f"{key}.token_type_embeddings.weight"][0]
        )
        first = self._constant("first", np.array([0]))
        positions = self._constant("positions", self._checkpoint[f"{key}.position_embeddings.weight"])
        n_tokens = self._node("Shape", INPUT, start=1, end=2)
        placed = self._node("Slice", positions, first, n_tokens, first)  # (t, h)
        return self._norm(self._node("Add", self._node("Gather", self._constant("words", words), INPUT), placed), key)

    def _layer(self, states: str, key: str) -> str:
        """(1, t, h) to (1, t, h): attention, then the feed-forward network, each added to its input."""
        query = self._heads(states, f"{key}.attention.self.query", [0, 2, 1, 3])  # (1, a, t, h/a)
        keys = self._heads(states, f"{key}.attention.self.key", [0, 2, 3, 1])  # (1, a, h/a, t)
        values = self._heads(states, f"{key}.attention.self.value", [0, 2, 1, 3])
        scores = self._node("Mul", self._node("MatMul", query, keys), self._scale)  # (1, a, t, t)
        context = self._node("MatMul", self._node("Softmax", scores, axis=-1), values)
        context = self._node("Reshape", self._node("Transpose", context, perm=[0, 2, 1, 3]), self._from_heads)
        attended = self._linear(context, f"{key}.attention.output.dense")
        states = self._norm(self._node("Add", attended, states), f"{key}.attention.output")
        inner = self._node("Gelu", self._linear(states, f"{key}.intermediate.dense"))
        return self._norm(self._node("Add", self._linear(inner, f"{key}.output.dense"), states), f"{key}.output")

    def _heads(self, states: str, key: str, order: Sequence[int]) -> str:
        return self._node("Transpose", self._node("Reshape", self._linear(states, key), self._to_heads), perm=order)

    def _linear(self, states: str, key: str) -> str:
        # Checkpoints store (out, in).
        weight = self._constant(f"{key}.weight", self._checkpoint[f"{key}.weight"].T)
        bias = self._constant(f"{key}.bias", self._checkpoint[f"{key}.bias"])
        return self._node("Add", self._node("MatMul", states, weight), bias)

    def _norm(self, states: str, key: str) -> str:
        weight = self._constant(f"{key}.norm.weight", self._checkpoint[f"{key}.LayerNorm.weight"])
        bias = self._constant(f"{key}.norm.bias", self._checkpoint[f"{key}.LayerNorm.bias"])
        return self._node("LayerNormalization", states, weight, bias, axis=-1, epsilon=self._epsilon)

    def _node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add an operator and return the name of its output."""
        output = f"{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def _constant(self, name: str, value: npt.NDArray[np.generic] | np.float32) -> str:
        array = np.ascontiguousarray(value) if value.ndim else np.asarray(value)
        if array.nbytes < _INLINE_BYTES:
            self._constants.append(numpy_helper.from_array(array, name))
            return name
        self.weights[name] = array.astype(np.float32, copy=False)
        tensor = TensorProto(name=name, dims=array.shape, data_type=TensorProto.FLOAT)
        tensor.data_location = TensorProto.EXTERNAL
        # The format demands a place; the runtime is given the values before it looks there.
        tensor.external_data.add(key="location", value="in-memory")
        self._constants.append(tensor)
        return name

    def _model(self, hidden: int) -> ModelProto:
        ids = helper.make_tensor_value_info(INPUT, TensorProto.INT64, [1, "tokens"])
        embedding = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [1, hidden])
        graph = helper.make_graph(self._nodes, "bert", [ids], [embedding], self._constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
