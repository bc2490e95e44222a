"""One step back: where columns are in front of a node. Each function is of the ops that it names."""

from dataclasses import replace
from math import prod

import numpy as np

from onnxunlearn.graph.node import Node
from onnxunlearn.graph.places.trail import Trail, activations, rank_of, shape_of, step
from onnxunlearn.graph.view import Model

Sizes = tuple[int | None, ...]


@step("Identity", "Cast", "CastLike", "Dropout", "QuantizeLinear", "DequantizeLinear")
@step("com.microsoft::QuantizeLinear", "com.microsoft::DequantizeLinear", "Expand", "Where")
def same(model: Model, node: Node, trail: Trail) -> list[Trail]:
    """The places may be others, or copied. Of Where only what it chooses from, if there is one such."""
    data = [name for name in activations(model, node) if node.kind != "Where" or name != node.inputs[0]]
    known = len(data) == 1 and rank_of(model, data[0]) in (None, trail.rank)
    return [replace(trail, tensor=data[0])] if known else []


@step("Sigmoid", "Exp", "Log", "Sqrt", "Relu", "Softplus", "Clip", "Neg", "Pow", "HardSigmoid", "Reciprocal")
def alone(model: Model, node: Node, trail: Trail) -> list[Trail]:
    """Each element for itself. What rounds numbers cuts them, too, which does not tell how they are read."""
    done = trail.done if node.kind == "Clip" else (node.kind, *trail.done)
    return [replace(trail, tensor=node.inputs[0], done=done)]


@step("Softmax", "LogSoftmax")
def normalised(model: Model, node: Node, trail: Trail) -> list[Trail]:
    """Across the classes, those among them that were left out behind it; or across something else, as the
    bins of a distance."""
    shape = shape_of(model, node.inputs[0])
    axis = int(node.attribute("axis", -1 if node.opset >= 13 else 1))
    if axis % trail.rank != trail.axis:
        return [replace(trail, tensor=node.inputs[0], done=("Bins", *trail.done))]
    index, columns, size = trail.index, trail.columns, None if shape is None else shape[trail.axis]
    left_out = np.setdiff1d(np.arange(size or 0), index)
    if len(index) == 1 and len(left_out):
        index = np.concatenate([index, left_out[None]], axis=1)
        columns = np.concatenate([columns, np.full(len(left_out), -1)])
    done = (node.kind, *trail.done)
    return [replace(trail, tensor=node.inputs[0], index=index, columns=columns, done=done)]


@step("Transpose")
def transposed(model: Model, node: Node, trail: Trail) -> list[Trail]:
    perm = node.attribute("perm") or list(range(trail.rank))[::-1]
    return [replace(trail, tensor=node.inputs[0], axis=int(perm[trail.axis]))]


@step("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def reshaped(model: Model, node: Node, trail: Trail) -> list[Trail]:
    before, after = shape_of(model, node.inputs[0]), shape_of(model, trail.tensor) or _wanted(model, node)
    found = None if before is None or after is None else _before(before, after, trail.axis)
    if found is None or before is None or after is None:
        return []
    trail = replace(trail, rank=len(before))
    axis, outer, inner = found
    size = after[trail.axis] or 1
    if (outer, inner) == (1, 1):
        return [replace(trail, tensor=node.inputs[0], axis=axis)]
    # [outer, way, inner, columns]
    ways = np.arange(outer)[:, None, None, None] * size * inner + np.arange(inner)[None, None, :, None]
    index = (ways + trail.index[None, :, None, :] * inner).reshape(-1, trail.index.shape[1])
    return [replace(trail, tensor=node.inputs[0], axis=axis, index=index)]


def _wanted(model: Model, node: Node) -> Sizes | None:
    """The sizes that a Reshape asks for, where shape inference does not know: all, or those that are given
    beside others that are looked up, as in `view(x.size(0), -1, 4)`."""
    if node.kind != "Reshape":
        return None
    made = model.producer.get(node.inputs[1])
    parts = made.inputs if made is not None and made.kind == "Concat" else (node.inputs[1],)
    sizes: list[int | None] = []
    for part in parts:
        if (value := model.constant(part)) is not None:
            sizes += [int(size) if size > 0 else None for size in value.reshape(-1)]
        elif (shape := shape_of(model, part)) is not None and len(shape) == 1 and shape[0] is not None:
            sizes += [None] * shape[0]
        else:
            return None
    return tuple(sizes)


def _before(before: Sizes, after: Sizes, axis: int) -> tuple[int, int, int] | None:
    """Where an axis was before a Reshape: (axis, outer, inner), of what it is a part: outer × itself × inner.
    None where it is made of several, or that cannot be told."""
    samples = before[0] == after[0] or None in (before[0], after[0])  # their number is often unknown, or 1
    first = int(samples)
    while samples and first < min(len(before), len(after)) and before[first] == after[first]:
        first += 1
    if axis < first:
        return axis, 1, 1
    last = 0
    while last < min(len(before), len(after)) - first and before[-1 - last] == after[-1 - last]:
        last += 1
    if axis >= len(after) - last:
        return axis - len(after) + len(before), 1, 1
    behind, size = after[axis + 1 : len(after) - last], after[axis]
    if size is None or any(each is None for each in behind):
        return None
    inner = prod(each for each in behind if each is not None)
    for place in range(len(before) - last - 1, first - 1, -1):
        known = before[place]
        if known is None:
            return None
        if known % (size * inner) == 0:
            return place, known // (size * inner), inner
        if inner % known or not known:
            return None
        inner //= known
    return None


@step("Concat")
def joined(model: Model, node: Node, trail: Trail) -> list[Trail]:
    """Places of several scales one behind another; or what is said at a place one beside another."""
    axis = int(node.attribute("axis")) % trail.rank
    if axis != trail.axis:
        return [replace(trail, tensor=name) for name in node.inputs if name in model.activations]
    sizes = [_size(model, name, axis) for name in node.inputs]
    whole, unknown = _size(model, trail.tensor, axis), sizes.count(None)
    if unknown > 1 or (unknown and whole is None):
        return []
    known = sum(size or 0 for size in sizes)
    ends = np.cumsum([(whole or 0) - known if size is None else size for size in sizes])
    part = np.searchsorted(ends, trail.index, side="right")
    if (part != part[:1]).any():
        return []
    found = []
    for i, name in enumerate(node.inputs):
        own = part[0] == i
        if own.any():
            start = int(ends[i - 1]) if i else 0
            moved = replace(trail, index=trail.index[:, own] - start, columns=trail.columns[own])
            found.append(replace(moved, tensor=name))
    return found


def _size(model: Model, tensor: str, axis: int) -> int | None:
    shape = shape_of(model, tensor)
    return None if shape is None else shape[axis]


@step("Split")
def split(model: Model, node: Node, trail: Trail) -> list[Trail]:
    axis = int(node.attribute("axis", 0)) % trail.rank
    place = node.outputs.index(trail.tensor)
    if axis != trail.axis:
        return [replace(trail, tensor=node.inputs[0])]
    sizes = [_size(model, name, axis) for name in node.outputs[:place]]
    if any(size is None for size in sizes):
        return []
    return [replace(trail, tensor=node.inputs[0], index=trail.index + sum(size or 0 for size in sizes))]


@step("Slice")
def sliced(model: Model, node: Node, trail: Trail) -> list[Trail]:
    """Some columns, or some places."""
    operands = [model.constant(name) if name else None for name in node.inputs[1:]]
    if node.opset < 10:
        operands = [
            None if (v := node.attribute(k)) is None else np.array(v) for k in ("starts", "ends", "axes")
        ]
    starts, _, axes, steps = [*operands, None, None, None][:4]
    shape = shape_of(model, node.inputs[0])
    if starts is None:
        return []
    axes = np.arange(len(starts)) if axes is None else axes % trail.rank
    own = np.flatnonzero(axes == trail.axis)
    if not len(own):
        return [replace(trail, tensor=node.inputs[0])]
    size = None if shape is None else shape[trail.axis]
    start, pace = int(starts[own[0]]), 1 if steps is None else int(steps[own[0]])
    if pace < 1 or (start < 0 and size is None):
        return []
    start = max(start + (size or 0), 0) if start < 0 else start
    return [replace(trail, tensor=node.inputs[0], index=trail.index * pace + start)]


@step("Gather")
def gathered(model: Model, node: Node, trail: Trail) -> list[Trail]:
    """Columns by their number, or places, also by numbers that are made."""
    chosen = shape_of(model, node.inputs[1])
    if chosen is None:
        return []
    rank = trail.rank + 1 - len(chosen)
    axis = int(node.attribute("axis", 0)) % rank
    taken = range(axis, axis + len(chosen))
    if trail.axis not in taken:
        before = trail.axis if trail.axis < axis else trail.axis - len(chosen) + 1
        source = _one_of(model, node.inputs[0], axis, node.inputs[1], rank)
        return [replace(trail, tensor=source, axis=before, rank=rank)]
    shape = shape_of(model, node.inputs[0])
    numbers = None if node.inputs[1] in model.activations else model.constant(node.inputs[1])
    if numbers is None or numbers.ndim != 1:
        return []
    size = None if shape is None else shape[axis]
    if size is None and (numbers < 0).any():
        return []
    index = np.where(numbers < 0, numbers + (size or 0), numbers)[trail.index]
    return [replace(trail, tensor=node.inputs[0], axis=axis, index=index)]


def _one_of(model: Model, stacked: str, axis: int, number: str, rank: int) -> str:
    """What is taken of tensors that were stacked, as those of all layers of a decoder are."""
    node = model.producer.get(stacked)
    value = None if number in model.activations else model.constant(number)
    if node is None or node.kind != "Concat" or value is None or value.size != 1:
        return stacked
    makers = [model.producer.get(name) for name in node.inputs]
    single = all(maker is not None and maker.kind == "Unsqueeze" for maker in makers)
    own = int(node.attribute("axis")) % rank == axis and single
    return node.inputs[int(value.item())] if own else stacked


@step("GatherElements", "GatherND")
def picked(model: Model, node: Node, trail: Trail) -> list[Trail]:
    """Places by numbers that are made, as those of the best scores."""
    if node.kind == "GatherElements":
        own = int(node.attribute("axis", 0)) % trail.rank == trail.axis
        return [] if own else [replace(trail, tensor=node.inputs[0])]
    before = rank_of(model, node.inputs[0])
    if before is None or trail.axis != trail.rank - 1:
        return []
    return [replace(trail, tensor=node.inputs[0], axis=before - 1, rank=before)]


@step("Add", "Sub", "Mul", "Div", "Max", "Min")
def combined(model: Model, node: Node, trail: Trail) -> list[Trail]:
    """With a constant; with something that differs from place to place; or, of products, times one number a
    place. Of two tensors that both have columns nothing can be told."""
    data = list(activations(model, node))
    if not data or len(node.inputs) != 2:
        return []
    if len(data) == 1:
        other = node.inputs[1] if node.inputs[0] == data[0] else node.inputs[0]
        if other == data[0]:
            return []
        placed = trail.placed or _differs(model, other, trail.rank, trail.axis)
        return _aligned(model, replace(trail, done=(node.kind, *trail.done), placed=placed), data[0])
    sizes = [_size_along(model, name, trail.rank, trail.axis) for name in data]
    if node.kind != "Mul" or sizes.count(1) != 1 or sizes == [1, 1]:
        return []
    main, factor = (data[1], data[0]) if sizes[0] == 1 else (data[0], data[1])
    single = Trail(factor, trail.axis, trail.rank, np.zeros((1, 1), int), np.zeros(1, int))
    beside = _aligned(model, single, factor)
    return _aligned(model, replace(trail, times=(*trail.times, *beside)), main)


def _aligned(model: Model, trail: Trail, tensor: str) -> list[Trail]:
    """In an operand, which may have fewer axes than the result."""
    rank = rank_of(model, tensor) or trail.rank
    axis = trail.axis - (trail.rank - rank)
    return [] if axis < 0 else [replace(trail, tensor=tensor, axis=axis, rank=rank)]


def _size_along(model: Model, tensor: str, rank: int, axis: int) -> int | None:
    shape = shape_of(model, tensor)
    if shape is None:
        return None
    place = axis - (rank - len(shape))
    return shape[place] if place >= 0 else 1


def _differs(model: Model, tensor: str, rank: int, axis: int) -> bool:
    """Whether an operand has several numbers along other axes than that of the columns."""
    shape = shape_of(model, tensor)
    if shape is None:
        return True
    own = axis - (rank - len(shape))
    return any(size != 1 for place, size in enumerate(shape) if place != own)


@step("BatchNormalization")
def scaled(model: Model, node: Node, trail: Trail) -> list[Trail]:
    return [replace(trail, tensor=node.inputs[0], done=(node.kind, *trail.done))]
