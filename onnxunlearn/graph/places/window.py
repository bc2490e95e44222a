"""What of a network's end a single place depends on: the nodes that see but a few places around it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from onnxunlearn.graph.node import Node
from onnxunlearn.graph.view import Model

#: places to each side that may be seen at most: what sees further is left whole
REACH = 4
#: one element in, one element out
_ELEMENTWISE = frozenset(
    {"Relu", "LeakyRelu", "PRelu", "Elu", "Celu", "Selu", "ThresholdedRelu", "Sigmoid", "HardSigmoid"}
    | {"HardSwish", "Tanh", "Clip", "Softplus", "Softsign", "Mish", "Swish", "Gelu", "Erf", "Exp", "Log"}
    | {"Sqrt", "Reciprocal", "Neg", "Abs", "Pow", "Identity", "Dropout", "Cast", "BatchNormalization"}
    | {"QuantizeLinear", "DequantizeLinear"}
)
_COMBINED = frozenset({"Add", "Sub", "Mul", "Div", "Sum", "Max", "Min", "Mean"})


@dataclass(frozen=True)
class Needed:
    """axes: which of a tensor's `rank` are places. reach: how many places to each side are needed, by
    axis."""

    axes: tuple[int, ...]
    reach: tuple[int, ...]
    rank: int

    def wider(self, other: "Needed") -> "Needed | None":
        """What both need; None where they take other axes for places."""
        if self.axes != other.axes:
            return None
        return replace(self, reach=tuple(map(max, self.reach, other.reach)))


@dataclass(frozen=True, eq=False)
class Window:
    """The end of a network that sees a place and a few around it.

    nodes: of the end, in graph order. needed: by tensor that they read or make, what of it is. edges: the
    same by (node index, tensor), where one of several readers needs less. entries: tensors that come from
    before it, of which a window is to be taken.
    """

    nodes: tuple[Node, ...]
    needed: Mapping[str, Needed]
    edges: Mapping[tuple[int, str], Needed]

    @property
    def entries(self) -> tuple[str, ...]:
        made = {name for node in self.nodes for name in node.outputs}
        return tuple(name for name in self.needed if name not in made)

    @property
    def margin(self) -> tuple[int, ...]:
        """Places at the border of a map, by axis, whose windows would leave it."""
        return tuple(np.max([n.reach for n in self.needed.values()], axis=0).tolist())


def window_of(
    model: Model, scores: str, axes: tuple[int, ...], most: int = REACH, ends: Collection[str] = ()
) -> Window:
    """The nodes that make `scores` of windows; none where nothing is known to. axes: which are places. most:
    places to each side that may be seen. ends: tensors before which none is taken."""
    wanted = _ancestors(model, scores)
    needed = {scores: Needed(axes, (0,) * len(axes), len(axes) + 2)}
    edges: dict[tuple[int, str], Needed] = {}
    taken: dict[int, Node] = {}
    for node in reversed(model.nodes):
        own = next((name for name in node.outputs if name in needed), None)
        if own is None or node.index not in wanted or own in ends:
            continue
        others = [n.index for n in model.consumers.get(own, ()) if n.index in wanted and n.index not in taken]
        if others and own != scores:  # who reads the whole map gets it
            continue
        found = _inputs(model, node, needed[own])
        if found is None or not _fits(needed, found, most):
            continue
        taken[node.index] = node
        for name, need in found.items():
            before = needed.get(name, need)
            needed[name] = before.wider(need) or need
            edges[node.index, name] = need
    return Window(tuple(taken[i] for i in sorted(taken)), needed, edges)


def spread(model: Model, name: str, need: Needed) -> str | None:
    """What a tensor is made of that says one value at all its places, as pooling over a whole image does;
    None where it is not."""
    node = model.producer.get(name)
    if node is None or node.kind != "Resize" or str(node.attribute("mode", "nearest")) == "cubic":
        return None
    if str(node.attribute("coordinate_transformation_mode", "half_pixel")) == "tf_crop_and_resize":
        return None
    shape = model.shapes.get(node.inputs[0])
    single = shape is not None and len(shape) == need.rank and all(shape[a] == 1 for a in need.axes)
    return node.inputs[0] if single else None


def _ancestors(model: Model, tensor: str) -> set[int]:
    found: set[int] = set()
    waiting = [tensor]
    while waiting:  # no recursion: chains may be long
        node = model.producer.get(waiting.pop())
        if node is not None and node.index not in found:
            found.add(node.index)
            waiting += [n for n in (*node.inputs, *node.captured) if n]
    return found


def _fits(needed: Mapping[str, Needed], found: Mapping[str, Needed], most: int) -> bool:
    """Besides places there are samples and one axis more; along a line of places there may be others, too."""
    return all(need.axes == needed.get(name, need).axes for name, need in found.items()) and all(
        max(need.reach, default=0) <= most and (len(need.axes) == 1 or need.rank == len(need.axes) + 2)
        for need in found.values()
    )


def _inputs(model: Model, node: Node, need: Needed) -> dict[str, Needed] | None:
    """What a node needs of what it reads to make its output; None where that is no window, or not known."""
    read = [name for name in node.inputs if name in model.activations]
    if not read or node.captured or len([o for o in node.outputs if o]) > 1 or len(read) != len(set(read)):
        return None
    if node.kind in _ELEMENTWISE:
        return {read[0]: need} if read == [node.inputs[0]] else None
    if node.kind in _COMBINED:
        same = _alike(model, node, read, need) and _constants_are_everywhere_alike(model, node, need)
        return dict.fromkeys(read, need) if same else None
    if node.kind == "Concat":
        along = _axis(model, node.outputs[0], int(node.attribute("axis")))
        return dict.fromkeys(read, need) if along is not None and along not in (0, *need.axes) else None
    if node.kind == "Transpose":
        perm = node.attribute("perm")
        samples_stay = perm is not None and perm[0] == 0
        return {read[0]: replace(need, axes=tuple(perm[a] for a in need.axes))} if samples_stay else None
    if node.kind == "Squeeze":
        return _of_squeeze(model, node, need)
    if node.kind == "MatMul":
        weight = model.constant(node.inputs[1])
        dense = weight is not None and weight.ndim == 2 and need.axes == tuple(range(1, need.rank - 1))
        return {read[0]: need} if dense else None
    if node.kind == "Conv":
        return _of_convolution(model, node, need)
    if node.kind == "LayerNormalization":
        last = need.rank - 1
        own = int(node.attribute("axis", -1)) % need.rank == last and last not in need.axes
        return {read[0]: need} if own else None
    return None


def _of_squeeze(model: Model, node: Node, need: Needed) -> dict[str, Needed] | None:
    """With the axes that it takes away, of which none is of samples."""
    given = model.constant(node.inputs[1]) if len(node.inputs) > 1 else node.attribute("axes")
    if given is None:
        return None
    taken = [int(axis) for axis in np.ravel(given)]
    rank = need.rank + len(taken)
    left = [axis for axis in range(rank) if axis not in {t % rank for t in taken}]
    if left[0] != 0:
        return None
    return {node.inputs[0]: Needed(tuple(left[axis] for axis in need.axes), need.reach, rank)}


def _of_convolution(model: Model, node: Node, need: Needed) -> dict[str, Needed] | None:
    """Of one that leaves the size of the map as it is; what is no axis of places it may do with as it likes,
    as that is all there."""
    weight = model.constant(node.inputs[1])
    spatial = need.rank - 2
    if weight is None or weight.ndim != need.rank or min(need.axes) < 2:
        return None
    spread = [
        d * (k - 1) for d, k in zip(node.attribute("dilations", [1] * spatial), weight.shape[2:], strict=True)
    ]
    auto = str(node.attribute("auto_pad", "NOTSET"))
    pads = list(node.attribute("pads", [0] * (2 * spatial)))
    strides = list(node.attribute("strides", [1] * spatial))
    if auto not in {"NOTSET", "VALID"} and spatial != len(need.axes) and any(spread):
        return None  # pads that nobody wrote down
    wider = list[int]()
    for axis, reach in zip(need.axes, need.reach, strict=True):
        at = axis - 2
        padded = spread[at] // 2
        kept = auto.startswith("SAME") or pads[at] == pads[at + spatial] == padded
        if spread[at] % 2 or not kept or strides[at] != 1:
            return None
        wider.append(reach + padded)
    return {node.inputs[0]: replace(need, reach=tuple(wider))}


def _alike(model: Model, node: Node, read: list[str], need: Needed) -> bool:
    """Whether all that is combined has the same places."""
    if len({_stem(model, name) for name in read}) == 1:
        return True
    shapes = [model.shapes.get(name) for name in (*read, node.outputs[0])]
    if any(shape is None or len(shape) != need.rank for shape in shapes):
        return False
    sizes = [[shape[a] for a in need.axes] for shape in shapes if shape is not None]
    return all(own == sizes[0] for own in sizes) and 1 not in sizes[0]


def _stem(model: Model, name: str) -> str:
    """What a tensor is made of element by element, numbers of one element aside: they have the same shape."""
    while (node := model.producer.get(name)) is not None:
        read = [n for n in node.inputs if n in model.activations]
        others = [model.constant(n) for n in node.inputs if n and n not in model.activations]
        single = node.kind in _COMBINED and all(value is not None and value.size == 1 for value in others)
        if len(read) != 1 or not (single or (node.kind in _ELEMENTWISE and read[0] == node.inputs[0])):
            break
        name = read[0]
    return name


def _constants_are_everywhere_alike(model: Model, node: Node, need: Needed) -> bool:
    for name in node.inputs:
        value = model.constant(name) if name not in model.activations else None
        if name in model.activations:
            continue
        if value is None or value.ndim > need.rank:
            return False
        sizes = (1,) * (need.rank - value.ndim) + value.shape
        if any(sizes[a] != 1 for a in need.axes):
            return False
    return True


def _axis(model: Model, tensor: str, axis: int) -> int | None:
    shape = model.shapes.get(tensor)
    return axis if axis >= 0 else None if shape is None else axis % len(shape)
