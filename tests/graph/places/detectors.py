"""Ends of detectors, family by family: small, with random weights, of images [N, 3, 32, 32]."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.graph.models import build, tensor, value

C = 5
SIZE = 32
STRIDES = (8, 16)
COUNTS = [(SIZE // s) ** 2 for s in STRIDES]
PLACES = sum(COUNTS)


class Graph:
    """Nodes one behind another; each op gives the name of what it makes."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def op(self, kind: str, *inputs: str, name: str = "", outputs: int = 1, **attributes: Any) -> str:
        made = name or f"{kind}_{len(self.nodes)}"
        names = [made, *(f"{made}:{i}" for i in range(1, outputs))]
        domain = attributes.pop("domain", "")
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=made, domain=domain, **attributes))
        return made

    def constant(self, values: object, kind: type = np.int64) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(tensor(name, np.asarray(values, kind)))
        return name

    def random(self, *shape: int) -> str:
        return self.constant(self.rng.normal(0, 0.3, shape), np.float32)

    def conv(self, x: str, inward: int, outward: int, name: str, stride: int = 1, bias: float = 0.0) -> str:
        weight = self.random(outward, inward, stride, stride)
        biases = self.constant(self.rng.normal(bias, 0.3, outward), np.float32)
        return self.op("Conv", x, weight, biases, name=name, strides=[stride, stride])

    def dense(self, x: str, inward: int, outward: int, name: str) -> str:
        product = self.op("MatMul", x, self.random(inward, outward), name=f"{name}/MatMul")
        return self.op("Add", self.random(outward), product, name=name)

    def features(self, i: int) -> str:
        return self.op("Relu", self.conv("x", 3, 8, f"stem{i}", STRIDES[i]))

    def reshape(self, x: str, *shape: int) -> str:
        return self.op("Reshape", x, self.constant(shape))

    def part(self, x: str, start: int, stop: int, axis: int) -> str:
        starts, ends, axes = (self.constant([v]) for v in (start, stop, axis))
        return self.op("Slice", x, starts, ends, axes)

    def model(self, *outputs: tuple[str, Sequence[int | str]], opset: int = 17) -> onnx.ModelProto:
        declared = [value(name, ["N", *dims]) for name, dims in outputs]
        return build(self.nodes, [value("x", ["N", 3, SIZE, SIZE])], declared, self.constants, opset=opset)


def _corners(g: Graph, sides: str) -> str:
    """Distances to the sides, [N, 4, places], from the middle of each place: centre and size."""
    first, second = g.part(sides, 0, 2, 1), g.part(sides, 2, 4, 1)
    grid = g.random(1, 2, PLACES)
    one, other = g.op("Sub", grid, first), g.op("Add", grid, second)
    middle = g.op("Div", g.op("Add", one, other), g.constant(2, np.float32))
    return g.op("Mul", g.op("Concat", middle, g.op("Sub", other, one), axis=1), g.random(1, 1, PLACES))


def yolov8(last: bool = False) -> onnx.ModelProto:
    """Distances in bins, Sigmoid classes, each by its own convolution; channels first, or `last`."""
    g, bins, heads = Graph(), 4, []
    for i in range(2):
        f = g.features(i)
        both = g.op("Concat", g.conv(f, 8, 4 * bins, f"box{i}"), g.conv(f, 8, C, f"classes{i}"), axis=1)
        heads.append(g.reshape(both, 0, 4 * bins + C, -1))
    joined = g.op("Concat", *heads, axis=2)
    sizes = g.constant([4 * bins, C])
    box = g.op("Split", joined, sizes, outputs=2, axis=1)
    binned = g.op("Transpose", g.reshape(box, -1, 4, bins, PLACES), perm=[0, 2, 1, 3])
    weight = g.constant(np.arange(bins).reshape(1, bins, 1, 1), np.float32)
    sides = g.reshape(g.op("Conv", g.op("Softmax", binned, axis=1), weight), -1, 4, PLACES)
    said = g.op("Concat", _corners(g, sides), g.op("Sigmoid", f"{box}:1"), axis=1, name="output0")
    if not last:
        return g.model((said, [4 + C, PLACES]))
    return g.model((g.op("Transpose", said, perm=[0, 2, 1], name="y"), [PLACES, 4 + C]))


def _yolov5(g: Graph, anchors: int = 3) -> str:
    """Objectness and classes behind one Sigmoid with the boxes, [N, places × anchors, 5 + C]."""
    heads = []
    for i in range(2):
        side, size = SIZE // STRIDES[i], 5 + C
        raw = g.reshape(g.conv(g.features(i), 8, anchors * size, f"m.{i}"), -1, anchors, size, side, side)
        said = g.op("Sigmoid", g.op("Transpose", raw, perm=[0, 1, 3, 4, 2]))
        xy, wh, rest = g.part(said, 0, 2, 4), g.part(said, 2, 4, 4), g.part(said, 4, size, 4)
        xy = g.op("Add", g.op("Mul", xy, g.constant(2, np.float32)), g.random(1, anchors, side, side, 2))
        wh = g.op("Mul", g.op("Pow", wh, g.constant(2, np.float32)), g.random(1, anchors, side, side, 2))
        heads.append(g.reshape(g.op("Concat", xy, wh, rest, axis=4), -1, anchors * side * side, size))
    return g.op("Concat", *heads, axis=1, name="output")


def yolov5() -> onnx.ModelProto:
    g = Graph()
    return g.model((_yolov5(g), [3 * PLACES, 5 + C]))


def yolov7_nms() -> onnx.ModelProto:
    """The same, and boxes are chosen in the graph, by objectness × class."""
    g = Graph()
    said = _yolov5(g)
    score = g.op("Mul", g.part(said, 5, 5 + C, 2), g.part(said, 4, 5, 2))
    few, limit = g.constant([10]), g.constant([0.5], np.float32)
    across = g.op("Transpose", score, perm=[0, 2, 1])
    chosen = g.op("NonMaxSuppression", g.part(said, 0, 4, 2), across, few, limit, limit, name="chosen")
    model = g.model()
    model.graph.output.append(value(chosen, ["boxes", 3], TensorProto.INT64))
    return model


def plug_in() -> onnx.ModelProto:
    g = Graph()
    said = _yolov5(g)
    boxes, scores = g.part(said, 0, 4, 2), g.part(said, 5, 5 + C, 2)
    found = g.op("EfficientNMS_TRT", boxes, scores, domain="TRT", name="num_detections")
    return g.model((found, [1]))


def one_anchor() -> onnx.ModelProto:
    """One layer, one scale, one anchor for all places: only centres differ from place to place."""
    g = Graph()
    said = g.op("Transpose", g.reshape(g.conv(g.features(0), 8, 5 + C, "out0"), 0, 5 + C, -1), perm=[0, 2, 1])
    xy = g.op("Add", g.part(said, 0, 2, 2), g.random(1, 16, 2))
    wh = g.op("Mul", g.op("Exp", g.part(said, 2, 4, 2)), g.random(1))
    return g.model(
        (
            g.op("Concat", xy, wh, g.op("Sigmoid", g.part(said, 4, 5 + C, 2)), axis=2, name="output"),
            [16, 5 + C],
        )
    )


def yolox(decoded: bool = True) -> onnx.ModelProto:
    """Boxes, objectness and classes by three layers a scale."""
    g, heads = Graph(), []
    for i in range(2):
        f = g.features(i)
        there, classes = (
            g.op("Sigmoid", g.conv(f, 8, width, f"{name}{i}")) for name, width in (("obj", 1), ("cls", C))
        )
        said = g.op("Concat", g.conv(f, 8, 4, f"reg{i}"), there, classes, axis=1)
        heads.append(g.reshape(said, 0, 5 + C, -1))
    said = g.op("Transpose", g.op("Concat", *heads, axis=2), perm=[0, 2, 1])
    if decoded:
        xy = g.op("Mul", g.op("Add", g.part(said, 0, 2, 2), g.random(1, PLACES, 2)), g.random(1, PLACES, 1))
        wh = g.op("Mul", g.op("Exp", g.part(said, 2, 4, 2)), g.random(1, PLACES, 1))
        said = g.op("Concat", xy, wh, g.part(said, 4, 5 + C, 2), axis=2)
    return g.model((g.op("Identity", said, name="output"), [PLACES, 5 + C]))


def ssd(anchors: Sequence[int] = (3, 3), looked_up: bool = False) -> onnx.ModelProto:
    """Softmax with the background first, boxes by priors, in two outputs. anchors: of each scale. looked_up:
    the sizes of samples, as by `view(x.size(0), -1, 4)`."""
    g, scores, boxes = Graph(), list[str](), list[str]()
    for i, own in enumerate(anchors):
        f = g.features(i)
        for found, name, width in ((scores, "conf", 1 + C), (boxes, "loc", 4)):
            rows = g.op("Transpose", g.conv(f, 8, own * width, f"{name}{i}"), perm=[0, 2, 3, 1])
            if looked_up:
                samples = g.op("Gather", g.op("Shape", rows), g.constant([0]))
                sizes = g.op("Concat", samples, g.constant([-1]), g.constant([width]), axis=0)
                found.append(g.op("Reshape", rows, sizes))
            else:
                found.append(g.reshape(rows, 0, -1, width))
    count = sum(own * places for own, places in zip(anchors, COUNTS, strict=True))
    said = g.op("Softmax", g.op("Concat", *scores, axis=1), axis=2, name="scores")
    moved = g.op("Concat", *boxes, axis=1)
    middle = g.op("Add", g.part(moved, 0, 2, 2), g.random(1, count, 2))
    size = g.op("Mul", g.op("Exp", g.part(moved, 2, 4, 2)), g.random(1, count, 2))
    corners = g.op("Concat", g.op("Sub", middle, size), g.op("Add", middle, size), axis=2, name="boxes")
    return g.model((said, [count, 1 + C]), (corners, [count, 4]))


def ssd_without_background() -> onnx.ModelProto:
    """Of whose output the background was cut off."""
    g, model = Graph(), ssd()
    kept = g.part("scores", 1, 1 + C, 2)
    for node in g.nodes:
        node.output[0] = "classes" if node.output[0] == kept else node.output[0]
        for i, name in enumerate(node.input):
            node.input[i] = f"cut {name}" if name.startswith("constant") else name
    for each in g.constants:
        each.name = f"cut {each.name}"
    model.graph.node.extend(g.nodes)
    model.graph.initializer.extend(g.constants)
    model.graph.output[0].CopyFrom(value("classes", ["N", 3 * PLACES, C]))
    return model


def retinanet(anchors: int = 3) -> onnx.ModelProto:
    """Sigmoid classes and offsets from anchors that the file does not hold."""
    g, scores, boxes = Graph(), list[str](), list[str]()
    for i in range(2):
        f = g.features(i)
        for found, name, width in ((scores, "cls", C), (boxes, "reg", 4)):
            rows = g.op("Transpose", g.conv(f, 8, anchors * width, f"{name}{i}"), perm=[0, 2, 3, 1])
            found.append(g.reshape(rows, 0, -1, width))
    said = g.op("Sigmoid", g.op("Concat", *scores, axis=1), name="classification")
    return g.model(
        (said, [anchors * PLACES, C]),
        (g.op("Concat", *boxes, axis=1, name="regression"), [anchors * PLACES, 4]),
    )


def efficientdet(anchors: int = 3) -> onnx.ModelProto:
    """A map of class scores and one of offsets for each scale, as the convolutions make them."""
    g, outputs = Graph(), list[tuple[str, Sequence[int | str]]]()
    for i in range(2):
        f, side = g.features(i), SIZE // STRIDES[i]
        outputs.append((g.conv(f, 8, anchors * C, f"class_{i}", bias=-4.6), [anchors * C, side, side]))
        outputs.append((g.conv(f, 8, anchors * 4, f"box_{i}"), [anchors * 4, side, side]))
    return g.model(*outputs)


def fcos() -> onnx.ModelProto:
    """Classes, sides and centredness for each scale in outputs of their own."""
    g, outputs = Graph(), list[tuple[str, Sequence[int | str]]]()
    for i in range(2):
        f, side = g.features(i), SIZE // STRIDES[i]
        for name, width in (("cls", C), ("bbox", 4), ("center", 1)):
            raw = g.conv(f, 8, width, f"{name}_conv_{i}")
            kind = "Exp" if name == "bbox" else "Sigmoid"
            outputs.append((g.op(kind, raw, name=f"{name}_{i}"), [width, side, side]))
    return g.model(*outputs)


def landmarks() -> onnx.ModelProto:
    """Faces: one class, objectness, boxes and five points, for each scale in outputs of their own."""
    g, outputs = Graph(), list[tuple[str, Sequence[int | str]]]()
    for i in range(2):
        f, count = g.features(i), (SIZE // STRIDES[i]) ** 2
        for name, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            rows = g.op("Transpose", g.conv(f, 8, width, f"{name}{i}"), perm=[0, 2, 3, 1])
            said = g.reshape(rows, 0, -1, width)
            said = g.op("Sigmoid", said) if width == 1 else said
            outputs.append((g.op("Identity", said, name=f"{name}_{i}"), [count, width]))
    return g.model(*outputs)


def nanodet(bins: int = 8) -> onnx.ModelProto:
    """One convolution a scale makes classes, and distances in bins that are not decoded."""
    g, heads = Graph(), []
    for i in range(2):
        raw = g.conv(g.features(i), 8, C + 4 * bins, f"gfl_cls.{i}")
        both = g.op("Split", raw, g.constant([C, 4 * bins]), outputs=2, axis=1)
        said = g.op("Concat", g.op("Sigmoid", both), f"{both}:1", axis=1)
        heads.append(g.reshape(said, 0, C + 4 * bins, -1))
    joined = g.op("Concat", *heads, axis=2)
    said = g.op("Transpose", joined, perm=[0, 2, 1], name="output")
    return g.model((said, [PLACES, C + 4 * bins]))


QUERIES = 6


def _queries(g: Graph) -> str:
    """[N, queries, 8]"""
    memory = g.op("Transpose", g.reshape(g.features(0), 0, 8, -1), perm=[0, 2, 1])
    asked = g.op("Softmax", g.random(QUERIES, COUNTS[0]), axis=1)
    return g.op("Relu", g.op("MatMul", asked, memory))


def detr() -> onnx.ModelProto:
    """Raw scores with "no object" last, boxes from 0 to 1 said at once; and what the decoder holds."""
    g = Graph()
    found = _queries(g)
    logits = g.dense(found, 8, C + 1, "logits")
    boxes = g.op("Sigmoid", g.dense(g.op("Relu", g.dense(found, 8, 8, "mlp")), 8, 4, "mlp2"), name="boxes")
    hidden = g.op("LayerNormalization", found, g.random(8), name="hidden")
    return g.model((logits, [QUERIES, C + 1]), (boxes, [QUERIES, 4]), (hidden, [QUERIES, 8]))


def rt_detr(chosen: bool = False) -> onnx.ModelProto:
    """Raw scores of classes that decide for themselves, boxes refined from a guess; stacked over layers. Or
    the best are chosen in the graph."""
    g = Graph()
    found = _queries(g)
    axis = g.constant([1])
    layers = [g.op("Unsqueeze", g.dense(found, 8, C, f"class_embed.{i}"), axis) for i in range(2)]
    every = g.op("Concat", *layers, axis=1)
    logits = g.op("Gather", every, g.constant(-1), axis=1, name="logits")
    guess = g.op("Log", g.op("Softmax", found, axis=2))
    refined = g.op("Add", g.part(guess, 0, 4, 2), g.dense(found, 8, 4, "bbox_embed"))
    boxes = g.op("Sigmoid", refined, name="boxes")
    if not chosen:
        return g.model((logits, [QUERIES, C]), (boxes, [QUERIES, 4]))
    flat = g.reshape(g.op("Sigmoid", logits), 0, -1)
    best = g.op("TopK", flat, g.constant([3]), outputs=2, axis=1, name="scores")
    query = g.op("Div", f"{best}:1", g.constant(C))
    wide = g.op("Expand", g.op("Unsqueeze", query, g.constant([2])), g.constant([1, 1, 4]))
    taken = g.op("GatherElements", boxes, wide, axis=1, name="taken")
    return g.model((best, [3]), (taken, [3, 4]))


FAMILIES: dict[str, Callable[[], onnx.ModelProto]] = {
    "yolov5": yolov5,
    "yolov7, NMS in the graph": yolov7_nms,
    "yolov8": yolov8,
    "yolov8, classes last": lambda: yolov8(last=True),
    "one anchor": one_anchor,
    "yolox": yolox,
    "yolox, not decoded": lambda: yolox(decoded=False),
    "ssd": ssd,
    "ssd, one anchor": lambda: ssd((1, 1)),
    "ssd, anchors of each scale": lambda: ssd((2, 3)),
    "ssd, sizes looked up": lambda: ssd((3, 2), looked_up=True),
    "ssd, background cut off": ssd_without_background,
    "retinanet": retinanet,
    "efficientdet": efficientdet,
    "fcos": fcos,
    "nanodet": nanodet,
    "detr": detr,
    "rt-detr": rt_detr,
    "rt-detr, best chosen": lambda: rt_detr(chosen=True),
}
