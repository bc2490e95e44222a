"""Small models of several nodes, and tensors that travel with them."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = np.ndarray


def model_of(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[int | str]],
    outputs: list[str],
    initializers: dict[str, Array] | None = None,
    *,
    promoted: tuple[str, ...] = (),
    opset: int = 17,
    ir_version: int = 8,
) -> onnx.ModelProto:
    """A model with float32 inputs; the initializers named in `promoted` are inputs too."""
    stored = initializers or {}
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in inputs.items()]
    for name in promoted:
        code = helper.np_dtype_to_tensor_dtype(stored[name].dtype)
        infos.append(helper.make_tensor_value_info(name, code, stored[name].shape))
    graph = helper.make_graph(
        nodes,
        "small",
        infos,
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    return helper.make_model(graph, ir_version=ir_version, opset_imports=[helper.make_opsetid("", opset)])


def linear(*, promoted: bool = True, ir_version: int = 8) -> onnx.ModelProto:
    """y = x @ w + b; w (3, 2) and b (2,) can be fed if promoted."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["xw"], name="product"),
        helper.make_node("Add", ["xw", "b"], ["y"], name="sum"),
    ]
    stored = {"w": np.arange(6, dtype=np.float32).reshape(3, 2), "b": np.array([10, 20], np.float32)}
    fed = ("w", "b") if promoted else ()
    return model_of(nodes, {"x": ["n", 3]}, ["y", "xw"], stored, promoted=fed, ir_version=ir_version)


def cnn() -> onnx.ModelProto:
    """A classifier of 3 × 12 × 12 images into 5 classes: every layer kind a small CNN has."""
    rng = np.random.default_rng(0)

    def weight(*shape: int) -> Array:
        return (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    stored = {
        "conv1.weight": weight(8, 3, 3, 3),
        "conv1.bias": weight(8),
        "bn.scale": 1 + weight(8),
        "bn.bias": weight(8),
        "bn.mean": weight(8),
        "bn.var": 1 + np.abs(weight(8)),
        "depthwise.weight": weight(8, 1, 3, 3),
        "point.weight": weight(8, 8, 1, 1),
        "fc.weight": weight(5, 8 * 3 * 3),
        "fc.bias": weight(5),
        "sizes": np.array([0, -1], np.int64),
    }
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "conv1.weight", "conv1.bias"], ["c1"], pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["c1", "bn.scale", "bn.bias", "bn.mean", "bn.var"], ["n1"]),
        node("Relu", ["n1"], ["r1"]),
        node("MaxPool", ["r1"], ["p1"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Conv", ["p1", "depthwise.weight"], ["c2"], group=8, auto_pad="SAME_UPPER"),
        node("HardSwish", ["c2"], ["h2"]),
        node("Conv", ["h2", "point.weight"], ["c3"]),
        node("Add", ["c3", "p1"], ["s3"]),
        node("AveragePool", ["s3"], ["p3"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Reshape", ["p3", "sizes"], ["f"]),
        node("Gemm", ["f", "fc.weight", "fc.bias"], ["logits"], transB=1),
        node("Softmax", ["logits"], ["probabilities"]),
    ]
    model = model_of(nodes, {"x": ["n", 3, 12, 12]}, ["logits", "probabilities", "s3"], stored)
    return onnx.shape_inference.infer_shapes(model)


def images(count: int) -> Array:
    return np.random.default_rng(1).standard_normal((count, 3, 12, 12)).astype(np.float32)
