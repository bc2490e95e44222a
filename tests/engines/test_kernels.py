"""What relevance and gradients are computed with has CUDA kernels: else tensors travel to the host and back.

Without a GPU the table that ONNX Runtime publishes is asked (tests/reference/kernels); a build that has CUDA
kernels is asked itself.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper

from onnxunlearn.edits import Edits
from onnxunlearn.engines import create_engine
from onnxunlearn.graph import Logits, Model, expose, find_layers, find_logits, load
from onnxunlearn.graph.flow import shape_arithmetic
from onnxunlearn.graph.tail import tail_of
from onnxunlearn.methods.erase.descent import stored_weights
from onnxunlearn.relevance import Propagator, parse_composite
from onnxunlearn.reverse import own_layers
from onnxunlearn.reverse.differentiate import Differentiator
from onnxunlearn.reverse.nodes import OPSET

from ..reverse.test_adjoints import CASES, model_of_case
from ..sample_paths import CNN, MLP, MOBILE, RESNET, images

TABLE = json.loads((Path(__file__).parents[1] / "reference/kernels/cuda.json").read_text())
KINDS: dict[int, str] = {
    T.FLOAT: "float",
    T.DOUBLE: "double",
    T.INT32: "int32",
    T.INT64: "int64",
    T.BOOL: "bool",
}
#: an op, and the type that its kernel is chosen by
Asked = tuple[str, str]


def asked_of(model: onnx.ModelProto) -> Iterator[Asked]:
    """Of every node; constants are none."""
    typed = onnx.shape_inference.infer_shapes(model).graph
    infos = [*typed.value_info, *typed.input, *typed.output]
    types = {i.name: i.type.tensor_type.elem_type for i in infos if i.type.tensor_type.elem_type}
    types |= {stored.name: stored.data_type for stored in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "Constant":
            first = node.input[1 if node.op_type == "Where" else 0]
            yield node.op_type, KINDS[types.get(first, T.FLOAT)]  # what enters a tail may be of no said type


@cache
def cuda() -> dict[str, set[str]]:
    """Op -> types that it has kernels for at OPSET."""
    from onnxruntime.capi.onnxruntime_pybind11_state import get_all_opkernel_def

    assert TABLE["opset"] == OPSET
    found: dict[str, set[str]] = {}
    for kernel in get_all_opkernel_def():
        first, last = kernel.version_range
        if (kernel.provider, kernel.domain) == ("CUDAExecutionProvider", "") and first <= OPSET <= last:
            types = kernel.type_constraints.values()
            found.setdefault(kernel.op_name, set()).update(t[7:-1] for listed in types for t in listed)
    return found or {op: set(kernel["types"]) for op, kernel in TABLE["kernels"].items()}


def lacking(model: onnx.ModelProto) -> set[Asked]:
    return {(op, kind) for op, kind in asked_of(model) if kind not in cuda().get(op, set())}


NETWORKS = pytest.mark.parametrize("path", [MLP, CNN, RESNET, MOBILE], ids=lambda path: path.stem)


def opened(path: Path) -> tuple[Model, Logits, dict[str, np.ndarray]]:
    model = load(path)
    x, _ = images("fashion_probes" if path is MOBILE else "mnist_probes")
    return model, find_logits(model), {model.inputs[0].name: x[:2]}


@NETWORKS
@pytest.mark.parametrize("rules", ["lra_npp", "epsilon_plus", "gradient"])
def test_relevance_of_whole_networks_stays_on_the_device(path: Path, rules: str) -> None:
    model, logits, feeds = opened(path)
    propagator = Propagator(model, logits, create_engine(), parse_composite(rules), list(feeds))
    assert not lacking(propagator.compiled(feeds).model)


@NETWORKS
def test_gradients_of_weights_stay_on_the_device(path: Path) -> None:
    """And the forward pass that is recorded for them."""
    model, logits, feeds = opened(path)
    layers, engine = own_layers(model, find_layers(model), logits.tensor), create_engine()
    tail = tail_of(model, layers, [logits.tensor], shape_arithmetic(model))
    network = Differentiator(tail, [logits.tensor], engine)
    inner = [name for name in tail.boundary if name not in feeds]
    made = engine.session(expose(model, inner)).run(feeds) if inner else {}
    entered = {name: {**feeds, **made}[name] for name in tail.boundary}
    prepared = network._prepare(entered, stored_weights(Edits(model), layers))
    assert not lacking(prepared.graph.model)
    assert not lacking(prepared.forward)


@pytest.mark.parametrize(("op", "shape", "constants", "opset", "first", "attributes", "positive"), CASES)
def test_every_reverse_stays_on_the_device(
    op: str,
    shape: tuple[int, ...],
    constants: tuple[np.ndarray, ...],
    opset: int,
    first: int,
    attributes: dict[str, Any],
    positive: bool,
) -> None:
    x = np.ones(shape, np.float32)
    model = model_of_case(x, op, constants, opset, first, attributes)
    logits = Logits("logits", "logits", 0, None)
    propagator = Propagator(model, logits, create_engine(), parse_composite("gradient"), ["x"])
    assert not lacking(propagator.compiled({"x": x}).model)


def test_an_op_without_a_kernel_is_noticed() -> None:
    node = helper.make_node("Celu", ["x"], ["y"])
    x, y = (helper.make_tensor_value_info(name, T.FLOAT, [2]) for name in "xy")
    model = helper.make_model(helper.make_graph([node], "g", [x], [y]))
    assert lacking(model) == {("Celu", "float")}
