"""Small models of every kind of input that is drawn, and inputs for them."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CLASSES = 3


def model_bytes(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, tuple[int, Sequence[int | str]]],
    stored: dict[str, np.ndarray],
) -> bytes:
    """A checked model with the output `logits` [N, 3]."""
    graph = helper.make_graph(
        list(nodes),
        "small",
        [helper.make_tensor_value_info(n, kind, list(shape)) for n, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    onnx.checker.check_model(model)
    return model.SerializeToString()


def weights(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def image_model(channels: int = 1, nhwc: bool = False) -> bytes:
    """[N, C, 6, 6] or [N, 6, 6, C] -> Conv, Relu, pooling, Gemm."""
    first = [helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2])] if nhwc else []
    shape: list[int | str] = ["N", 6, 6, channels] if nhwc else ["N", channels, 6, 6]
    nodes = [
        *first,
        helper.make_node("Conv", ["t" if nhwc else "x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "v"], ["logits"], name="head"),
    ]
    stored = {"w": weights(4, channels, 3, 3), "v": weights(4, CLASSES, seed=1)}
    return model_bytes(nodes, {"x": (TensorProto.FLOAT, shape)}, stored)


def series_model(steps: int = 20, channels: int = 2) -> bytes:
    """[N, C, T] -> Conv, Relu, pooling, Gemm."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "v"], ["logits"], name="head"),
    ]
    stored = {"w": weights(5, channels, 3), "v": weights(5, CLASSES, seed=1)}
    return model_bytes(nodes, {"x": (TensorProto.FLOAT, ["N", channels, steps])}, stored)


def table_model(features: int = 7) -> bytes:
    """[N, F] -> Gemm, Relu, Gemm."""
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["h"], name="hidden"),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "v"], ["logits"], name="head"),
    ]
    stored = {"w": weights(features, 6), "v": weights(6, CLASSES, seed=1)}
    return model_bytes(nodes, {"x": (TensorProto.FLOAT, ["N", features])}, stored)


def token_model(vocabulary: int = 12, mask: bool = False) -> bytes:
    """ids [N, T] -> embedding, MatMul, Relu, mean over tokens (of those the mask leaves), Gemm."""
    masked = [
        helper.make_node("Cast", ["mask"], ["m"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["m", "last"], ["mm"]),
        helper.make_node("Mul", ["r", "mm"], ["left"]),
    ]
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["e"]),
        helper.make_node("MatMul", ["e", "w"], ["h"], name="hidden"),
        helper.make_node("Relu", ["h"], ["r"]),
        *(masked if mask else []),
        helper.make_node("ReduceMean", ["left" if mask else "r"], ["p"], axes=[1], keepdims=0),
        helper.make_node("Gemm", ["p", "v"], ["logits"], name="head"),
    ]
    inputs: dict[str, tuple[int, Sequence[int | str]]] = {"ids": (TensorProto.INT64, ["N", "T"])}
    stored = {"table": weights(vocabulary, 4), "w": weights(4, 5, seed=2), "v": weights(5, CLASSES, seed=1)}
    if mask:
        inputs = {"mask": (TensorProto.INT64, ["N", "T"]), **inputs}
        stored["last"] = np.array([2], np.int64)
    return model_bytes(nodes, inputs, stored)


def inputs_of(*shape: int, y: bool = True) -> dict[str, np.ndarray]:
    """`x` of that shape, and classes in turn."""
    found = {"x": weights(*shape, seed=3)}
    return {**found, "y": np.arange(shape[0]) % CLASSES} if y else found


def token_ids(samples: int = 6, length: int = 5, vocabulary: int = 12) -> dict[str, np.ndarray]:
    ids = np.random.default_rng(4).integers(1, vocabulary, (samples, length))
    return {"ids": ids, "y": np.arange(samples) % CLASSES}
