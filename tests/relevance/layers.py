"""Single-node models on random weights, for comparing relevances with slow restatements."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnxunlearn.engines import Engine
from onnxunlearn.graph import Model, find_logits, load
from onnxunlearn.relevance import Propagator, parse_composite


def model_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, Sequence[int | str]],
    initializers: dict[str, np.ndarray],
    output: str,
    output_shape: Sequence[int | str],
    opset: int = 17,
) -> Model:
    """A checked model from nodes; float32 inputs and one output."""
    graph = helper.make_graph(
        list(nodes),
        "layer",
        [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, list(s)) for n, s in inputs.items()],
        [helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, list(output_shape))],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in initializers.items()],
    )
    domains = {"": opset, "com.microsoft": 1}
    opsets = [helper.make_opsetid(*item) for item in domains.items()]
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=8 if opset < 20 else 10)
    return load(proto.SerializeToString())


def flattened(
    nodes: Sequence[onnx.NodeProto], x: np.ndarray, initializers: dict[str, np.ndarray], opset: int = 17
) -> Model:
    """x → nodes → y → Flatten → logits."""
    flatten = helper.make_node("Flatten", ["y"], ["logits"], axis=1)
    return model_of([*nodes, flatten], {"x": ["n", *x.shape[1:]]}, initializers, "logits", ["n", "c"], opset)


def relevance(
    model: Model, engine: Engine, composite: str, x: np.ndarray, target: int, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Relevance of x from the logit `target` (its value is the seed), and the logits."""
    logits = find_logits_of(model, classes)
    propagator = Propagator(model, logits, engine, parse_composite(composite), ["x"])
    (batch,) = propagator.run({"x": x}, np.full(len(x), target), len(x))
    return batch.relevance["x"], batch.logits


def find_logits_of(model: Model, classes: int) -> Any:
    """Like `find_logits`, for outputs whose size no one declared."""
    from onnxunlearn.graph import Logits

    try:
        return find_logits(model)
    except Exception:
        return Logits("logits", "logits", classes, None)
