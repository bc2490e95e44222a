"""Classifiers as ten years of tools have written them: a sample model rebuilt, and small ones of other kinds.

`REBUILT` turn a sample model into another file of the same network; `KINDS` make networks of random features
whose head is fitted, with data of their own.
"""

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from .sample_paths import SAMPLES

Rebuild = Callable[[onnx.ModelProto], None]
REBUILT: dict[str, Rebuild] = {}
Feeds = dict[str, np.ndarray]
Make = Callable[[], tuple[onnx.ModelProto, Feeds]]
KINDS: dict[str, Make] = {}
node = helper.make_node


def sample(name: str = "mnist_cnn") -> onnx.ModelProto:
    return onnx.load(SAMPLES / f"{name}.onnx")


def rebuilt(function: Rebuild) -> Rebuild:
    REBUILT[function.__name__.replace("_", " ")] = function
    return function


def kind(function: Make) -> Make:
    KINDS[function.__name__.replace("_", " ")] = function
    return function


def stored(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(t for t in model.graph.initializer if t.name == name)


def store(model: onnx.ModelProto, name: str, values: object, dtype: type = np.float32) -> str:
    """Add an initializer, or give one other values."""
    tensor = numpy_helper.from_array(np.asarray(values, dtype), name)
    for known in model.graph.initializer:
        if known.name == name:
            known.CopyFrom(tensor)
            return name
    model.graph.initializer.append(tensor)
    return name


def append(model: onnx.ModelProto, *nodes: onnx.NodeProto) -> None:
    """Nodes behind the last; what they end in, `y`, is the output."""
    model.graph.node.extend(nodes)
    model.graph.output[0].name = "y"


def set_nodes(model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto]) -> None:
    kept = [onnx.NodeProto.FromString(n.SerializeToString()) for n in nodes]
    del model.graph.node[:]
    model.graph.node.extend(kept)


# What stands behind the logits


@rebuilt
def softmax_in_five_nodes(model: onnx.ModelProto) -> None:
    store(model, "axis", [1], np.int64)
    append(
        model,
        node("ReduceMax", ["logits"], ["top"], axes=[1], keepdims=1),
        node("Sub", ["logits", "top"], ["below"]),
        node("Exp", ["below"], ["e"]),
        node("ReduceSum", ["e", "axis"], ["sum"], keepdims=1),
        node("Div", ["e", "sum"], ["y"]),
    )


@rebuilt
def softmax_by_reciprocal(model: onnx.ModelProto) -> None:
    store(model, "axis", [1], np.int64)
    append(
        model,
        node("Exp", ["logits"], ["e"]),
        node("ReduceSum", ["e", "axis"], ["sum"], keepdims=1),
        node("Reciprocal", ["sum"], ["inverse"]),
        node("Mul", ["inverse", "e"], ["y"]),
    )


@rebuilt
def log_softmax_in_two_nodes(model: onnx.ModelProto) -> None:
    append(
        model,
        node("ReduceLogSumExp", ["logits"], ["sum"], axes=[1], keepdims=1),
        node("Sub", ["logits", "sum"], ["y"]),
    )


@rebuilt
def softmax_of_a_temperature(model: onnx.ModelProto) -> None:
    store(model, "t", 2)
    append(model, node("Div", ["logits", "t"], ["z"]), node("Softmax", ["z"], ["y"], axis=1))


@rebuilt
def sigmoid(model: onnx.ModelProto) -> None:
    append(model, node("Sigmoid", ["logits"], ["y"]))


@rebuilt
def label_and_map(model: onnx.ModelProto) -> None:
    """As exporters of scikit-learn do."""
    append(
        model,
        node("Softmax", ["logits"], ["p"], axis=1),
        node("ArgMax", ["p"], ["label"], axis=1, keepdims=0),
        node("ZipMap", ["p"], ["y"], domain="ai.onnx.ml", classlabels_int64s=list(range(10))),
    )
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    label, scores = helper.make_tensor_value_info("label", T.INT64, ["N"]), onnx.ValueInfoProto(name="y")
    scores.type.sequence_type.elem_type.map_type.key_type = T.INT64
    scores.type.sequence_type.elem_type.map_type.value_type.tensor_type.elem_type = T.FLOAT
    del model.graph.output[:]
    model.graph.output.extend([label, scores])


# Heads


@rebuilt
def head_of_matmul_and_add(model: onnx.ModelProto) -> None:
    x, w, b = model.graph.node.pop().input
    store(model, w, numpy_helper.to_array(stored(model, w)).T)
    store(model, b, numpy_helper.to_array(stored(model, b))[None])
    append(model, node("MatMul", [x, w], ["product"], name="head"), node("Add", [b, "product"], ["y"]))


@rebuilt
def head_of_conv_and_pooling(model: onnx.ModelProto) -> None:
    """SqueezeNet: 1×1 Conv, ReLU, global pooling."""
    x, w, b = model.graph.node.pop().input
    store(model, w, numpy_helper.to_array(stored(model, w))[:, :, None, None])
    append(
        model,
        node("Reshape", [x, store(model, "shape", [0, 64, 1, 1], np.int64)], ["image"]),
        node("Conv", ["image", w, b], ["map"], name="head", kernel_shape=[1, 1]),
        node("Relu", ["map"], ["positive"]),
        node("GlobalAveragePool", ["positive"], ["pooled"]),
        node("Flatten", ["pooled"], ["y"]),
    )


def _batch_norm(model: onnx.ModelProto, x: str, size: int, to: str) -> onnx.NodeProto:
    rng = np.random.default_rng(0)
    for name in ("scale", "variance"):
        store(model, name, rng.uniform(0.8, 1.2, size))
    for name in ("shift", "mean"):
        store(model, name, rng.normal(0, 0.1, size))
    return node("BatchNormalization", [x, "scale", "shift", "mean", "variance"], [to], name="norm")


@rebuilt
def batch_norm_behind_relu(model: onnx.ModelProto) -> None:
    relu, head = model.graph.node[-2:]
    relu.output[0] = "activated"
    set_nodes(model, [*model.graph.node[:-1], _batch_norm(model, "activated", 64, head.input[0]), head])


@rebuilt
def batch_norm_behind_the_head(model: onnx.ModelProto) -> None:
    append(model, _batch_norm(model, "logits", 10, "y"))


# Ways to store


@rebuilt
def constant_nodes(model: onnx.ModelProto) -> None:
    constants = [node("Constant", [], [t.name], value=t) for t in model.graph.initializer]
    set_nodes(model, [*constants, *model.graph.node])
    del model.graph.initializer[:]


@rebuilt
def weights_listed_as_inputs(model: onnx.ModelProto) -> None:
    """IR 3."""
    model.ir_version = 3
    for t in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)))


@rebuilt
def unpacked_floats(model: onnx.ModelProto) -> None:
    for t in model.graph.initializer:
        if t.data_type == T.FLOAT:
            values = numpy_helper.to_array(t).reshape(-1).tolist()
            t.ClearField("raw_data")
            t.float_data.extend(values)


@rebuilt
def a_sparse_weight_on_the_way(model: onnx.ModelProto) -> None:
    sparse(model, model.graph.node[3].input[1])


def sparse(model: onnx.ModelProto, name: str) -> None:
    tensor = stored(model, name)
    values = numpy_helper.to_array(tensor)
    model.graph.initializer.remove(tensor)
    made = model.graph.sparse_initializer.add(dims=values.shape)
    places = np.flatnonzero(np.abs(values) > 1e-4)
    made.values.CopyFrom(numpy_helper.from_array(values.reshape(-1)[places], name))
    made.indices.CopyFrom(numpy_helper.from_array(places))


@rebuilt
def simulated_quantisation(model: onnx.ModelProto) -> None:
    """Float weights that the graph itself rounds, as quantisation-aware training exports them."""
    nodes = []
    for n in model.graph.node:
        if n.op_type in {"Gemm", "Conv"}:
            w = n.input[1]
            store(model, f"{w}.s", np.abs(numpy_helper.to_array(stored(model, w))).max() / 127)
            store(model, f"{w}.z", 0, np.int8)
            nodes.append(node("QuantizeLinear", [w, f"{w}.s", f"{w}.z"], [f"{w}.q"]))
            nodes.append(node("DequantizeLinear", [f"{w}.q", f"{w}.s", f"{w}.z"], [f"{w}.d"]))
            n.input[1] = f"{w}.d"
        nodes.append(n)
    set_nodes(model, nodes)


@rebuilt
def layers_in_a_function(model: onnx.ModelProto) -> None:
    """The two last layers as a local function, their weights passed to it."""
    *before, gemm, relu, head = model.graph.node
    x, *weights = gemm.input
    names = [x, *weights, *head.input[1:]]
    body = [gemm, relu, head]
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("local", "Tail", names, ["logits"], body, opsets))
    model.opset_import.append(helper.make_opsetid("local", 1))
    set_nodes(model, [*before, node("Tail", names, ["logits"], domain="local", name="tail")])


# Inputs


@rebuilt
def a_fixed_batch(model: onnx.ModelProto) -> None:
    for info in (model.graph.input[0], model.graph.output[0]):
        info.type.tensor_type.shape.dim[0].dim_value = 7


@rebuilt
def channels_last(model: onnx.ModelProto) -> None:
    """As exporters of TensorFlow do."""
    model.graph.input[0].name = "image"
    model.graph.input[0].type.CopyFrom(helper.make_tensor_type_proto(T.FLOAT, ["N", 28, 28, 1]))
    set_nodes(model, [node("Transpose", ["image"], ["x"], perm=[0, 3, 1, 2]), *model.graph.node])


# Other networks


def fitted(
    nodes: list[onnx.NodeProto],
    weights: Feeds,
    feeds: Feeds,
    y: np.ndarray,
    features: int,
    opset: int,
    free: Sequence[int] = (0,),
) -> tuple[onnx.ModelProto, Feeds]:
    """The network with a head fitted (ridge regression) to what its nodes make of the feeds, `f`."""
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]

    def build(nodes: list[onnx.NodeProto], output: str, size: int) -> onnx.ModelProto:
        infos = [
            helper.make_tensor_value_info(
                name,
                helper.np_dtype_to_tensor_dtype(array.dtype),
                [f"free{i}" if i in free else size for i, size in enumerate(array.shape)],
            )
            for name, array in feeds.items()
        ]
        out = helper.make_tensor_value_info(output, T.FLOAT, ["free0", size])
        graph = helper.make_graph(nodes, "odd", infos, [out], tensors)
        ir = 3 if opset < 9 else 8
        if ir == 3:
            graph.input.extend(
                helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)) for t in tensors
            )
        return helper.make_model(graph, ir_version=ir, opset_imports=[helper.make_opsetid("", opset)])

    session = onnxruntime.InferenceSession(build(nodes, "f", features).SerializeToString())
    f = session.run(["f"], feeds)[0]
    scale = 1 / f.std()
    gram = f.T @ f * scale**2 + 0.1 * np.eye(features)
    head = np.linalg.solve(gram, f.T * scale @ (np.eye(y.max() + 1)[y] - 0.2)) * scale * 20
    tensors.append(numpy_helper.from_array(head.T.astype(np.float32), "head"))
    tensors.append(numpy_helper.from_array(np.zeros(y.max() + 1, np.float32), "bias"))
    nodes = [*nodes, node("Gemm", ["f", "head", "bias"], ["y"], name="head", transB=1)]
    return build(nodes, "y", int(y.max()) + 1), {**feeds, "y": y}


def clusters(*shape: int, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """40 samples around the random centre of each of 5 classes."""
    rng = np.random.default_rng(1)
    y = np.repeat(np.arange(5), 40)
    centres = rng.normal(size=(5, *shape))
    return (centres[y] + noise * rng.normal(size=(len(y), *shape))).astype(np.float32), y


def weight(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).normal(0, 0.3, shape).astype(np.float32)


@kind
def one_dimension_at_opset_7() -> tuple[onnx.ModelProto, Feeds]:
    x, y = clusters(3, 20)
    nodes = [
        node("Conv", ["x", "w"], ["c"], kernel_shape=[5], strides=[2]),
        node("Relu", ["c"], ["r"]),
        node("Flatten", ["r"], ["f"]),
    ]
    return fitted(nodes, {"w": weight(8, 3, 5)}, {"x": x}, y, 64, opset=7)


@kind
def three_dimensions() -> tuple[onnx.ModelProto, Feeds]:
    x, y = clusters(1, 6, 6, 6)
    nodes = [
        node("Conv", ["x", "w"], ["c"], kernel_shape=[3, 3, 3], strides=[2, 2, 2]),
        node("Relu", ["c"], ["r"]),
        node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2, 2]),
        node("Flatten", ["p"], ["f"]),
    ]
    return fitted(nodes, {"w": weight(32, 1, 3, 3, 3)}, {"x": x}, y, 32, opset=13)


@kind
def two_inputs() -> tuple[onnx.ModelProto, Feeds]:
    (a, y), (b, _) = clusters(6, noise=0.5), clusters(9, noise=0.5)
    nodes = [
        node("MatMul", ["a", "w"], ["h"]),
        node("Tanh", ["h"], ["t"]),
        node("Concat", ["t", "b"], ["f"], axis=1),
    ]
    return fitted(nodes, {"w": weight(6, 8)}, {"a": a, "b": b}, y, 17, opset=17)


@kind
def tokens_with_a_mask() -> tuple[onnx.ModelProto, Feeds]:
    """Each class has words of its own among common ones."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(5), 40)
    ids = np.where(rng.random((200, 12)) < 0.5, 4 * y[:, None] + rng.integers(0, 4, (200, 12)), 20)
    mask = (np.arange(12) < rng.integers(6, 13, (200, 1))).astype(np.int64)
    nodes = [
        node("Gather", ["words", "ids"], ["e"]),
        node("Unsqueeze", ["mask", "last"], ["m"]),
        node("Cast", ["m"], ["counts"], to=T.FLOAT),
        node("Mul", ["e", "counts"], ["kept"]),
        node("ReduceSum", ["kept", "tokens"], ["sum"], keepdims=0),
        node("ReduceSum", ["counts", "tokens"], ["number"], keepdims=0),
        node("Div", ["sum", "number"], ["f"]),
    ]
    axes = {"last": np.array([2]), "tokens": np.array([1])}
    weights = {"words": weight(21, 24), **axes}
    return fitted(nodes, weights, {"ids": ids.astype(np.int64), "mask": mask}, y, 24, opset=17)


@kind
def free_image_size() -> tuple[onnx.ModelProto, Feeds]:
    rng = np.random.default_rng(2)
    y = np.repeat(np.arange(4), 40)
    kernels = np.random.default_rng(4).normal(size=(4, 2, 3, 3))
    x = rng.normal(0, 0.3, (160, 2, 9, 9)).astype(np.float32)
    for i, c in enumerate(y):  # a texture of its own
        x[i] += np.tile(kernels[c], (1, 3, 3))
    nodes = [
        node("Conv", ["x", "w"], ["c"], kernel_shape=[3, 3]),
        node("Relu", ["c"], ["r"]),
        node("GlobalMaxPool", ["r"], ["p"]),
        node("Flatten", ["p"], ["f"]),
    ]
    return fitted(nodes, {"w": weight(24, 2, 3, 3)}, {"x": x}, y, 24, opset=17, free=(0, 2, 3))
