"""Small segmenters and taggers, each with another end."""

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper

from ..models import build, tensor, value

CLASSES, WIDTH = 4, 3
#: nodes from `h` [N, WIDTH, 8, 8] to `y`, with the constants that they read
End = tuple[list[onnx.NodeProto], list[onnx.TensorProto]]
MakeEnd = Callable[[], End]
_node = helper.make_node


def _weights(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def _scores(name: str) -> End:
    head = _node("Conv", ["h", "w", "b"], [name], name="head", kernel_shape=[1, 1])
    return [head], [tensor("w", _weights(CLASSES, WIDTH, 1, 1)), tensor("b", _weights(CLASSES))]


def plain() -> End:
    return _scores("y")


def enlarged() -> End:
    nodes, constants = _scores("s")
    sizes = tensor("sizes", np.array([1, 1, 2, 2], np.float32))
    return [*nodes, _node("Resize", ["s", "", "sizes"], ["y"], mode="linear")], [*constants, sizes]


def enlarged_by_convolution() -> End:
    nodes, constants = _scores("s")
    up = tensor("up", np.ones((CLASSES, 1, 2, 2), np.float32))
    enlarge = _node("ConvTranspose", ["s", "up"], ["y"], group=CLASSES, strides=[2, 2])
    return [*nodes, enlarge], [*constants, up]


def with_the_whole(mode: str = "linear", reach: int = 0) -> End:
    """Beside each place the mean of the whole map, as DeepLab has it; a layer more sees so far around."""
    nodes, constants = _scores("s")
    nodes[0].input[0] = "m"
    size = 2 * reach + 1
    pooled = [
        _node("GlobalAveragePool", ["h"], ["p"]),
        _node("Conv", ["p", "wp"], ["q"], name="pooled", kernel_shape=[1, 1]),
        _node("Resize", ["q", "", "eight"], ["up"], mode=mode),
        _node("Concat", ["h", "up"], ["both"], axis=1),
        _node("Conv", ["both", "wb"], ["m"], name="both", kernel_shape=[size, size], pads=[reach] * 4),
        *nodes,
        _node("Softmax", ["s"], ["y"], axis=1),
    ]
    more = [
        tensor("wp", _weights(WIDTH, WIDTH, 1, 1, seed=6)),
        tensor("wb", _weights(WIDTH, 2 * WIDTH, size, size, seed=7)),
        tensor("eight", np.array([1, 1, 8, 8], np.float32)),
    ]
    return pooled, [*constants, *more]


def decided() -> End:
    nodes, constants = _scores("s")
    return [*nodes, _node("ArgMax", ["s"], ["y"], axis=1, keepdims=0)], constants


def channels_last() -> End:
    nodes, constants = _scores("s")
    moved = _node("Transpose", ["s"], ["t"], perm=[0, 2, 3, 1])
    return [*nodes, moved, _node("Softmax", ["t"], ["y"], axis=-1)], constants


def dense_channels_last() -> End:
    """A linear layer behind a map whose channels were moved last, as a Dense of Keras or torch's Linear."""
    moved = _node("Transpose", ["h"], ["t"], perm=[0, 2, 3, 1])
    nodes = [moved, _node("MatMul", ["t", "w"], ["m"], name="head"), _node("Add", ["m", "b"], ["s"])]
    constants = [tensor("w", _weights(WIDTH, CLASSES)), tensor("b", _weights(CLASSES))]
    return [*nodes, _node("Softmax", ["s"], ["y"], axis=-1)], constants


def sigmoid() -> End:
    nodes, constants = _scores("s")
    return [*nodes, _node("Sigmoid", ["s"], ["y"])], constants


def upsampled() -> End:
    """As opset 9 has it."""
    nodes, constants = _scores("s")
    scales = tensor("scales", np.array([1, 1, 2, 2], np.float32))
    return [*nodes, _node("Upsample", ["s", "scales"], ["y"], mode="linear")], [*constants, scales]


def tiles() -> End:
    up = tensor("up", _weights(WIDTH, CLASSES, 2, 2))
    return [_node("ConvTranspose", ["h", "up"], ["y"], name="head", strides=[2, 2])], [up]


def overlapping_tiles() -> End:
    up = tensor("up", _weights(WIDTH, CLASSES, 4, 4))
    return [_node("ConvTranspose", ["h", "up"], ["y"], name="head", strides=[2, 2], pads=[1, 1, 1, 1])], [up]


def wrong_axis() -> End:
    """A softmax over columns: attention, say, and no class at each place."""
    nodes, constants = _scores("s")
    return [*nodes, _node("Softmax", ["s"], ["y"], axis=3)], constants


def segmenter(end: Callable[[], End], opset: int = 17) -> onnx.ModelProto:
    """x [N, 1, 8, 8] → two 3×3 convolutions, one of which is left out around by a sum → the end → y."""
    nodes, constants = end()
    body = [
        _node("Conv", ["x", "w1"], ["c1"], name="first", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        _node("Relu", ["c1"], ["r1"]),
        _node("Conv", ["r1", "w2"], ["c2"], name="second", kernel_shape=[3, 3], auto_pad="SAME_UPPER"),
        _node("Add", ["c2", "r1"], ["h"]),
    ]
    weights = [tensor("w1", _weights(WIDTH, 1, 3, 3)), tensor("w2", _weights(WIDTH, WIDTH, 3, 3, seed=1))]
    kind = TensorProto.INT64 if end is decided else TensorProto.FLOAT
    rank = 3 if end is decided else 4
    output = value("y", ["N", *[None] * (rank - 1)], kind)
    return build([*body, *nodes], [value("x", ["N", 1, 8, 8])], [output], [*weights, *constants], opset=opset)


def tagger() -> onnx.ModelProto:
    """x int64 [N, 6] → an embedding, attention, a dense head → y [N, 6, CLASSES]."""
    nodes = [
        _node("Gather", ["table", "x"], ["e"]),
        _node("Transpose", ["e"], ["k"], perm=[0, 2, 1]),
        _node("MatMul", ["e", "k"], ["q"]),
        _node("Softmax", ["q"], ["a"], axis=-1),
        _node("MatMul", ["a", "e"], ["v"]),
        _node("MatMul", ["v", "w1"], ["m"], name="first"),
        _node("Relu", ["m"], ["r"]),
        _node("MatMul", ["r", "w2"], ["s"], name="head"),
        _node("Add", ["s", "b2"], ["y"]),
    ]
    weights = {
        "table": _weights(9, 5),
        "w1": _weights(5, WIDTH, seed=2),
        "w2": _weights(WIDTH, CLASSES, seed=3),
        "b2": _weights(CLASSES, seed=4),
    }
    return build(
        nodes,
        [value("x", ["N", 6], TensorProto.INT64)],
        [value("y", ["N", 6, CLASSES])],
        [tensor(name, values) for name, values in weights.items()],
    )


def line_reader(opset: int = 17) -> onnx.ModelProto:
    """x [N, 1, 8, W] → a class for each of W / 2 places of a line, as OCR has them: the height is used up,
    then left out. One convolution more is [3, 3], with pads where there is no place, too."""
    squeeze = _node("Squeeze", ["h", "height"], ["q"])
    if opset < 13:
        squeeze = _node("Squeeze", ["h"], ["q"], axes=[2])
    dropout = _node("Dropout", ["d3"], ["h"])
    if opset < 12:
        dropout = _node("Dropout", ["d3"], ["h"], ratio=0.1)
    nodes = [
        _node("Conv", ["x", "w1"], ["c1"], name="first", kernel_shape=[8, 2], strides=[8, 2]),
        _node("Relu", ["c1"], ["r1"]),
        _node("Conv", ["r1", "w2"], ["c2"], name="second", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        _node("Relu", ["c2"], ["r2"]),
        _node("Conv", ["r2", "w3"], ["c3"], name="third", kernel_shape=[1, 3], pads=[0, 1, 0, 1]),
        _node("Sigmoid", ["c3"], ["g3"]),
        _node("Mul", ["c3", "g3"], ["d3"]),
        dropout,
        squeeze,
        _node("Transpose", ["q"], ["t"], perm=[0, 2, 1]),
        _node("MatMul", ["t", "w"], ["m"], name="head"),
        _node("Add", ["m", "b"], ["s"]),
        _node("Softmax", ["s"], ["y"], axis=2),
    ]
    constants = [
        tensor("w1", _weights(WIDTH, 1, 8, 2, seed=1)),
        tensor("w2", _weights(WIDTH, WIDTH, 3, 3, seed=2)),
        tensor("w3", _weights(WIDTH, WIDTH, 1, 3, seed=3)),
        tensor("w", _weights(WIDTH, CLASSES)),
        tensor("b", _weights(CLASSES)),
        *([tensor("height", np.array([-2 if opset > 13 else 2]))] if opset > 12 else []),
    ]
    wide = value("x", ["n", 1, 8, "wide"])
    return build(nodes, [wide], [value("y", ["n", "t", CLASSES])], constants, opset=opset)
