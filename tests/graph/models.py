"""Small models in every shape a file may have; what they compute is simple enough to see."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from onnxunlearn.errors import OnnxUnlearnError
from onnxunlearn.graph import Model, load

SAMPLES = Path(__file__).parents[2] / "sample_models"

Dims = Sequence[int | str | None]


def value(name: str, dims: Dims | None, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, dims)


def tensor(name: str, values: np.ndarray) -> onnx.TensorProto:
    return numpy_helper.from_array(values, name)


def build(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    initializers: Sequence[onnx.TensorProto] = (),
    *,
    ir_version: int = 8,
    opset: int = 17,
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializers)
    opsets = [helper.make_opsetid("", opset)]
    if any(node.domain for node in nodes):
        opsets += [helper.make_opsetid(domain, 1) for domain in {n.domain for n in nodes} if domain]
    return helper.make_model(graph, ir_version=ir_version, opset_imports=opsets)


def loaded(proto: onnx.ModelProto) -> Model:
    return load(proto.SerializeToString())


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    """Distinct float32 values that float16 holds exactly, in no order."""
    size = int(np.prod(shape))
    values = np.arange(size, dtype=np.float32) - size // 2
    return np.random.default_rng(seed).permutation(values).reshape(shape)


def dense(weight: onnx.TensorProto, *, classes: int = 3, features: int = 4) -> onnx.ModelProto:
    """x [N, features] · w -> y [N, classes]; `weight` is called w."""
    return build(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="head")],
        [value("x", ["N", features])],
        [value("y", ["N", classes])],
        [weight],
    )


def external(name: str, location: str, dims: Sequence[int]) -> onnx.TensorProto:
    """A float32 tensor whose values lie in another file."""
    made = onnx.TensorProto(
        name=name, data_type=TensorProto.FLOAT, dims=dims, data_location=TensorProto.EXTERNAL
    )
    made.external_data.add(key="location", value=location)
    return made


def run(
    model: onnx.ModelProto | bytes,
    feeds: Mapping[str, np.ndarray],
    outputs: Sequence[str] | None = None,
) -> list[np.ndarray]:
    """What ONNX Runtime makes of `feeds`, without optimisations of its own."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    data = model if isinstance(model, bytes) else model.SerializeToString()
    return list(onnxruntime.InferenceSession(data, options).run(outputs, dict(feeds)))


def assert_one_line(error: OnnxUnlearnError, *parts: object) -> None:
    """One line, in which each of `parts` is named."""
    assert len(str(error).splitlines()) == 1, str(error)
    for part in parts:
        assert str(part) in str(error)
