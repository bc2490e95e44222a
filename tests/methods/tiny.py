"""Small random networks of each kind of layer, with probes: for formulas restated in full."""

import numpy as np
import onnx
from onnx import helper

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import find_logits, load
from onnxunlearn.methods import Workbench
from onnxunlearn.probes import Probes
from onnxunlearn.relevance import parse_composite

from ..graph.models import build, tensor, value


def _numbers(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def convolutional() -> onnx.ModelProto:
    """x [N, 2, 6, 6] -> a strided, padded Conv of two groups, ReLU, dense, three classes."""
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["z"], "conv", group=2, strides=[2, 2], pads=[1] * 4),
        helper.make_node("Relu", ["z"], ["a"]),
        helper.make_node("Flatten", ["a"], ["f"]),
        helper.make_node("Gemm", ["f", "w2", "b2"], ["y"], "head", transB=1),
    ]
    stored = {
        "w1": _numbers(4, 1, 3, 3, seed=1),
        "b1": _numbers(4, seed=2),
        "w2": _numbers(3, 36, seed=3) / 4,
        "b2": _numbers(3, seed=4),
    }
    tensors = [tensor(name, values) for name, values in stored.items()]
    return build(nodes, [value("x", ["N", 2, 6, 6])], [value("y", ["N", 3])], tensors)


def tokens_first() -> onnx.ModelProto:
    """x [N, 5, 4] -> a dense layer on [5, N, 4], as exporters write attention; mean over tokens, dense."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        helper.make_node("MatMul", ["t", "w1"], ["m"], "tokens"),
        helper.make_node("Add", ["m", "b1"], ["z"]),
        helper.make_node("Relu", ["z"], ["a"]),
        helper.make_node("ReduceMean", ["a"], ["f"], axes=[0], keepdims=0),
        helper.make_node("Gemm", ["f", "w2", "b2"], ["y"], "head", transB=1),
    ]
    stored = {
        "w1": _numbers(4, 6, seed=1),
        "b1": _numbers(6, seed=2),
        "w2": _numbers(3, 6, seed=3),
        "b2": _numbers(3, seed=4),
    }
    tensors = [tensor(name, values) for name, values in stored.items()]
    return build(nodes, [value("x", ["N", 5, 4])], [value("y", ["N", 3])], tensors)


def tiny_bench(proto: onnx.ModelProto, *, samples: int = 10, forget: tuple[int, ...] = (1,)) -> Workbench:
    """Random probes, labelled 0, 1, 2, 0, 1 …; ten of them do not fill the last batch."""
    model = load(proto.SerializeToString())
    shape = [d.dim_value for d in model.inputs[0].type.tensor_type.shape.dim][1:]
    x = _numbers(samples, *shape, seed=9)
    return Workbench(
        model,
        find_logits(model),
        create_engine(),
        Probes({"x": x}, np.arange(samples) % 3, "random"),
        forget,
        parse_composite("lra_npp"),
        budget=100.0,
        batch_size=4,
        seed=0,
    )
