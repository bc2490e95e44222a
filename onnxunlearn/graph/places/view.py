"""A model with class scores at places as one with class scores: a sample is an input and a place in it.

The view has one more input, the place of each sample, and its output is what the original says there. Of what
the end of the network sees of a place (`window`) a window is taken where it begins, and the layers behind see
no more than that: weights and names stay, only padding goes, since nothing is left to be padded. So features
in front of the head are those of the place, and an edit is tried on windows, not on whole maps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph.file_bytes import FileBytes
from onnxunlearn.graph.logits import Logits
from onnxunlearn.graph.node import Node
from onnxunlearn.graph.places.scores import PlaceScores
from onnxunlearn.graph.places.window import REACH, Needed, Window, spread, window_of
from onnxunlearn.graph.view import Model

#: the input that names the place of each sample, int64 [N, place axes]: where it is in the map of scores
PLACE = "place of the sample"
#: the tensor of class scores at the places, [N, classes], and what the normaliser makes of them
SCORES, SAID = "class scores at the place", "what is said at the place"
#: of the places across a map the share that may be border
_SMALL = 8
#: opset that a view is written in at least, for what GatherND does there; and the one that only adds to, but
#: that its Dropout reads a ratio from an input
_OPSET, _AS_GOOD = 12, 11


@dataclass(frozen=True, eq=False)
class PlaceView:
    """model: in memory. logits: where it says classes. whole: what it is a view of. grid: a tensor of that
    which has the places, on `axes`. margin: by place axis, how far from the grid's border a place has to be.
    """

    model: Model
    logits: Logits
    whole: Model
    grid: str
    axes: tuple[int, ...]
    margin: tuple[int, ...]


def at_places(model: Model, found: PlaceScores, head: int = 0, anchor: int = 0) -> PlaceView:
    """The view of a model through the tensor number `head` of `found.scores`, and of its columns through
    those of number `anchor`.

    model: in plain float ops (see `lowering`), of opset 11 or a later one (`lowering.renew`). Where a
    ConvTranspose makes the scores tile by tile, a place is a tile, and its scores are the mean of those in
    it. Raises UnsupportedError for an opset that is too old, and for a ConvTranspose whose tiles overlap.
    """
    opset = model.opsets.get("", 1)
    if opset < _AS_GOOD:
        raise UnsupportedError(
            f"opset {opset}: class scores at places need {_AS_GOOD} or newer; export the model anew"
        )
    scores = found.scores[head]
    tiles = _tiles(model, scores)
    grid = scores if tiles is None else tiles.inputs[0]
    window = window_of(model, grid, found.place_axes, _reach(model, grid, found))
    write = Writer(model)
    write.before(grid, window)
    for name in window.entries:
        write.entry(name, window.needed[name])
    for node in window.nodes:
        write.within(node, window)
    if tiles is not None:
        grid_scores = write.tiled(tiles)
    columns = found.columns[anchor] if found.columns else ()
    write.end(scores if tiles is None else grid_scores, found, columns)
    logits = Logits(SCORES, SAID, found.classes, found.normaliser)
    return PlaceView(write.model(), logits, model, grid, found.place_axes, window.margin)


def _reach(model: Model, grid: str, found: PlaceScores) -> int:
    """Places to each side that a window may see: of a detector's small maps, and of those of unknown size,
    little, so that some places are clear of the border."""
    shape = model.shapes.get(grid, ())
    sizes = [shape[a] for a in found.place_axes if a < len(shape)]
    least = min((size for size in sizes if size is not None), default=2 * _SMALL)
    return REACH if found.task != "detection" else max(1, min(REACH, least // _SMALL))


def _tiles(model: Model, scores: str) -> Node | None:
    """The ConvTranspose that makes the scores, each element of its input a tile of them."""
    node = model.producer.get(scores)
    if node is None or node.kind != "ConvTranspose":
        return None
    weight = model.constant(node.inputs[1])
    kernel = [] if weight is None else list(weight.shape[2:])
    more = ("pads", "output_padding", "output_shape")
    strange = any(any(node.attribute(name, [])) for name in more) or set(
        node.attribute("dilations", [1])
    ) != {1}
    if list(node.attribute("strides", [1] * len(kernel))) != kernel or strange:
        raise UnsupportedError(
            f"{node} makes the class scores, of places that overlap (kernel {kernel}, strides "
            f"{node.attribute('strides')}); covered are strides as long as the kernel"
        )
    return node


class Writer:
    """Writes a model in which the nodes of a window see one."""

    def __init__(self, model: Model) -> None:
        self._of = model
        self._proto = onnx.ModelProto()
        self._proto.CopyFrom(model.proto)
        graph = self._proto.graph
        self._nodes: list[onnx.NodeProto] = []
        self._renamed: dict[str, str] = {}
        self._dropped: set[str] = set()
        self._rank = 0
        self._batch = model.batch_size
        del graph.output[:]
        for stated in self._proto.opset_import:
            if stated.domain in ("", "ai.onnx"):
                stated.version = max(stated.version, _OPSET)

    def before(self, scores: str, window: Window) -> None:
        """All that the window's entries are made of, as it is."""
        own = {node.index for node in window.nodes}
        wanted = {spread(self._of, name, window.needed[name]) or name for name in window.entries}
        kept: list[Node] = []
        for node in reversed(self._of.nodes):
            if node.index not in own and any(o in wanted for o in node.outputs):
                kept.append(node)
                wanted.update(n for n in (*node.inputs, *node.captured) if n)
        self._rank = len(window.needed[scores].axes)
        self.constants(window, kept)

    def constants(self, window: Window, kept: Sequence[Node] = ()) -> None:
        """Those of the window that nodes make, and what is kept besides."""
        own, every = {node.index for node in window.nodes}, list(kept)
        constants = {n for node in window.nodes for n in node.inputs if n not in self._of.activations}
        for node in reversed(self._of.nodes):
            if node not in every and node.index not in own and any(o in constants for o in node.outputs):
                every.append(node)
                constants.update(n for n in node.inputs if n)
        self._nodes += [node.proto for node in sorted(every, key=lambda node: node.index)]
        self._dropped |= {o for node in window.nodes for o in node.outputs}

    def entry(self, name: str, need: Needed) -> None:
        """A window of a tensor that is known at all places."""
        rank, sizes = need.rank, [2 * r + 1 for r in need.reach]
        single = spread(self._of, name, need)
        if single is not None:  # at each place the same: no map of it is made
            self._renamed[name] = single if not any(need.reach) else self._repeated(single, need, sizes)
            return
        rest = [a for a in range(1, rank) if a not in need.axes]
        forward = [0, *need.axes, *rest]
        last = self._op("Transpose", name, perm=forward) if forward != list(range(rank)) else name
        offsets = np.array(list(product(*(range(-r, r + 1) for r in need.reach))), np.int64)
        places = self._op("Reshape", PLACE, self._constant([-1, 1, len(need.axes)]))
        places = self._op("Add", places, self._constant(offsets[None]))
        taken = self._op("GatherND", last, places, batch_dims=1)
        if len(sizes) > 1:  # along a line they are in one row already
            taken = self._op("Reshape", taken, self._constant([0, *sizes, -1]))
        back = np.argsort(forward).tolist()
        if back != list(range(rank)):
            taken = self._op("Transpose", taken, perm=back)
        self._renamed[name] = taken

    def within(self, node: Node, window: Window) -> None:
        """A node of the window: a convolution has nothing to pad where places are."""
        copy = onnx.NodeProto()
        copy.CopyFrom(node.proto)
        for i, name in enumerate(node.inputs):
            if name in window.needed:
                own = window.edges[node.index, name]
                copy.input[i] = self._cropped(name, window.needed[name], own)
        if node.kind == "Conv":
            axes = window.edges[node.index, node.inputs[0]].axes
            pads = list(node.attribute("pads", []))
            kept = [a for a in copy.attribute if a.name not in {"pads", "auto_pad"}]
            del copy.attribute[:]
            copy.attribute.extend(kept)
            spatial = len(pads) // 2
            left = [0 if i % spatial + 2 in axes else pad for i, pad in enumerate(pads)]
            if any(left):
                copy.attribute.append(helper.make_attribute("pads", left))
        self._nodes.append(copy)

    def tiled(self, node: Node) -> str:
        """What a ConvTranspose makes of the place, averaged."""
        copy = onnx.NodeProto()
        copy.CopyFrom(node.proto)
        copy.input[0] = self._renamed.get(node.inputs[0], node.inputs[0])
        self._nodes.append(copy)
        self._dropped.add(node.outputs[0])
        return self._op("GlobalAveragePool", node.outputs[0])

    def end(self, scores: str, found: PlaceScores, columns: tuple[int, ...]) -> None:
        """The class scores as [N, classes], and what their normaliser says."""
        name = self._renamed.get(scores, scores)
        if columns:
            name = self._op("Gather", name, self._constant(list(columns)), axis=found.class_axis)
        if found.ground is None:
            self._nodes.append(helper.make_node("Flatten", [name], [SCORES], name=SCORES, axis=1))
        else:  # a column more, of a constant
            flat, own = self._op("Flatten", name, axis=1), found.classes - 1
            wide = self._op("Gather", flat, self._constant([*range(own), 0]), axis=1)
            kept = self._constant([True] * own + [False], bool)
            ground = self._constant(found.ground, np.float32)
            self._nodes.append(helper.make_node("Where", [kept, wide, ground], [SCORES], name=SCORES))
        kind = found.normaliser or "Identity"
        attributes: dict[str, Any] = {"axis": 1} if kind == "Softmax" else {}
        self._nodes.append(helper.make_node(kind, [SCORES], [SAID], name=SAID, **attributes))

    def model(self) -> Model:
        """With the place as one more input."""
        size = "batch" if self._batch is None else self._batch
        place = helper.make_tensor_value_info(PLACE, onnx.TensorProto.INT64, [size, self._rank])
        return self.ended([*self._proto.graph.input, place], SAID)

    def ended(self, inputs: Sequence[onnx.ValueInfoProto], output: str) -> Model:
        """What was written, with these inputs."""
        graph, given = self._proto.graph, list[onnx.ValueInfoProto]()
        for info in inputs:  # copies: what is deleted from the graph is gone
            given.append(onnx.ValueInfoProto())
            given[-1].CopyFrom(info)
        del graph.node[:]
        graph.node.extend(self._nodes)
        if self._of.opsets.get("") == _AS_GOOD:
            for node in graph.node:
                if node.op_type == "Dropout":
                    del node.attribute[:]
        known = self._dropped | {info.name for info in given}
        kept = [info for info in graph.value_info if info.name not in known]
        del graph.value_info[:], graph.input[:]
        graph.value_info.extend(kept)
        graph.input.extend(given)
        graph.output.append(helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None))
        whole = self._of
        return Model(FileBytes(), self._proto, whole.path, whole.lent, whole.origin or whole, whole.encodings)

    def _cropped(self, name: str, whole: Needed, need: Needed) -> str:
        """The middle of a window, where a reader needs less than others."""
        name = self._renamed.get(name, name)
        less = [w - n for w, n in zip(whole.reach, need.reach, strict=True)]
        if not any(less):
            return name
        ends = [2 * w + 1 - x for w, x in zip(whole.reach, less, strict=True)]
        return self._op(
            "Slice", name, self._constant(less), self._constant(ends), self._constant(list(need.axes))
        )

    def _repeated(self, name: str, need: Needed, sizes: Sequence[int]) -> str:
        """A tensor with one place as a window of as many as are wanted."""
        times = [1] * need.rank
        for axis, size in zip(need.axes, sizes, strict=True):
            times[axis] = size
        return self._op("Tile", name, self._constant(times))

    def _op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        made = f"{PLACE} / {kind} {len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [made], name=made, **attributes))
        return made

    def _constant(self, values: object, kind: type = np.int64) -> str:
        name = f"{PLACE} / constant {len(self._proto.graph.initializer)}"
        self._proto.graph.initializer.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name
