"""A layer as a matrix product: what enters it, as rows, whatever the layer is.

    input_rows(layer, x)            the layer's input tensor        -> [N, groups, positions, width]
    output_rows(layer, z)           its output, or a gradient there -> [N, groups, positions, neurons/groups]
    weight_rows(layer, weight)      as `Edits.weight` has it        -> [groups, neurons/groups, width]
    from_weight_rows(layer, rows)   the way back, for `Edits.set_weight`
    choose_positions(count, limit, seed)   which of `count_positions(layer, x)` the first two shall keep
    record_rows(bench, layer, samples)     `input_rows` of probes, recorded batch by batch
    record_all_rows(bench, layers, samples)   the same of several layers in one pass

x and z have their samples first, as `Workbench.record` gives them. For every layer

    output_rows == input_rows @ weight_rows.swapaxes(-1, -2) + bias.reshape(groups, 1, -1)

Positions are the places a kernel stops at (any number of spatial axes, strides, dilations, padding), or the
tokens of a dense layer, or 1. Only a convolution has groups ≠ 1; width is inputs / groups · kernel size. A
ConvTranspose is the Conv with the flipped kernel over its input with zeros between the elements.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from onnxunlearn.edits import Edits
from onnxunlearn.engines.numpy_spatial import patches
from onnxunlearn.engines.windows import Windows
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Layer
from onnxunlearn.methods.workbench import Workbench


def groups(layer: Layer) -> int:
    """Into how many independent products the layer falls."""
    return 1 if layer.dense else int(layer.node.attribute("group", 1))


def input_rows(layer: Layer, x: np.ndarray, chosen: np.ndarray | None = None) -> np.ndarray:
    """What each output position of each sample sees: [N, groups, positions, width].

    x: the layer's input with samples first, as `Workbench.record` gives it. chosen: indices of the positions
    to keep; the others are never unfolded, so memory is bounded by them.
    """
    if layer.dense:
        rows = x.reshape(len(x), 1, math.prod(x.shape[1:-1]), x.shape[-1])
        return rows if chosen is None else rows[:, :, chosen]
    rank = len(layer.weight.shape) - 2
    images = x.reshape(-1, *x.shape[-rank - 1 :])  # frames may be folded into the samples
    windows = _windows(layer, x)
    if _transposed(layer):
        images, windows = _stretched(images, windows)
    return _frames_as_positions(patches(images, windows, groups(layer), chosen), len(x))


def output_rows(layer: Layer, z: np.ndarray, chosen: np.ndarray | None = None) -> np.ndarray:
    """The layer's output, or a gradient there, in the order of `input_rows`: [N, groups, positions, n]."""
    if layer.dense:
        rows = z.reshape(len(z), 1, math.prod(z.shape[1:-1]), z.shape[-1])
    else:
        images = z.reshape(-1, *z.shape[-len(layer.weight.shape) + 1 :])
        rows = images.reshape(len(images), groups(layer), layer.neurons // groups(layer), -1)
        rows = rows.swapaxes(-1, -2)
    if chosen is not None:
        rows = rows[:, :, chosen]
    return _frames_as_positions(rows, len(z))


def weight_rows(layer: Layer, weight: np.ndarray) -> np.ndarray:
    """A canonical weight as [groups, neurons / groups, width]."""
    count = groups(layer)
    if _transposed(layer):
        weight = np.flip(weight, tuple(range(2, weight.ndim)))
    return weight.reshape(count, layer.neurons // count, -1)


def from_weight_rows(layer: Layer, rows: np.ndarray) -> np.ndarray:
    """[groups, neurons / groups, width] as a canonical weight."""
    weight = rows.reshape(layer.weight.shape)
    return np.flip(weight, tuple(range(2, weight.ndim))) if _transposed(layer) else weight


def count_positions(layer: Layer, x: np.ndarray) -> int:
    """At how many places the layer reads its input x (of one frame)."""
    if layer.dense:
        return math.prod(x.shape[1:-1])
    windows = _windows(layer, x)
    return math.prod(windows.sizes if _transposed(layer) else windows.counts)


def choose_positions(count: int, limit: int, seed: int) -> np.ndarray | None:
    """At most `limit` of `count` positions, the same for the same seed; None (all) where they are no more."""
    if count <= limit:
        return None
    return np.sort(np.random.default_rng(seed).choice(count, limit, replace=False))


def record_rows(
    bench: Workbench,
    layer: Layer,
    samples: np.ndarray | None = None,
    edits: Edits | None = None,
    *,
    limit: int | None = None,
) -> np.ndarray:
    """`input_rows` of the given probes (indices; all by default) under trial edits.

    limit: how many rows there may be in all, roughly; positions are left out until they fit, at least one a
    sample stays. Which ones depends on the run's seed alone.
    """
    return record_all_rows(bench, [layer], samples, edits, limit=lambda _: limit)[layer]


def record_all_rows(
    bench: Workbench,
    layers: Sequence[Layer],
    samples: np.ndarray | None = None,
    edits: Edits | None = None,
    *,
    limit: Callable[[Layer], int | None] = lambda _: None,
    reduce: Callable[[np.ndarray], np.ndarray] = lambda rows: rows,
) -> dict[Layer, np.ndarray]:
    """`record_rows` of several layers in one pass over the probes.

    limit: layer -> rows in all. reduce: rows of a batch -> what is kept of them, samples first. Raises
    UnsupportedError that names a layer whose inputs are not finite: they have no directions.
    """
    count = len(bench.probes) if samples is None else len(samples)
    parts: dict[Layer, list[np.ndarray]] = {layer: [] for layer in layers}
    bench.progress(f"inputs of {', '.join(layer.name for layer in layers)}")

    def collect(tensor: str, x: np.ndarray) -> np.ndarray:
        for layer in layers:
            if layer.input == tensor:
                positions, most = count_positions(layer, x), limit(layer)
                each = positions if most is None else max(1, most // count)
                chosen = choose_positions(positions, each, bench.seed)
                parts[layer].append(reduce(input_rows(layer, x, chosen)))
        return np.empty((len(x), 0))

    bench.record([layer.input for layer in layers], samples, edits, collect)
    found = {layer: np.concatenate(arrays) for layer, arrays in parts.items()}
    for layer, rows in found.items():
        if not np.isfinite(rows).all():
            raise UnsupportedError(
                f"{layer.node}: what enters it on the probes is not finite, and this method needs it; "
                "use --method mask or head, or repair the weights before it"
            )
    return found


def _windows(layer: Layer, x: np.ndarray) -> Windows:
    kernel = layer.weight.shape[2:]
    return Windows.of(layer.node, x.shape[-len(kernel) :], kernel)


def _transposed(layer: Layer) -> bool:
    return layer.node.kind == "ConvTranspose"


def _stretched(images: np.ndarray, windows: Windows) -> tuple[np.ndarray, Windows]:
    """The input of a ConvTranspose with zeros between its elements, and the windows of the Conv that it is.

    windows: those of the node, which slide over its output, one for each element of the input.
    """
    reach = [extent - 1 for extent in windows.extents]
    full = [size + r for size, r in zip(windows.sizes, reach, strict=True)]
    made = np.zeros((*images.shape[:2], *full), images.dtype)
    into, out_of = list[slice](), list[slice]()
    axes = zip(full, windows.counts, windows.strides, windows.begins, reach, strict=True)
    for size, n, stride, begin, r in axes:
        places = r - begin + stride * np.arange(n)  # what is cropped from the output may lie beyond the ends
        inside = np.flatnonzero((places >= 0) & (places < size))
        count, first = len(inside), int(inside[0]) if len(inside) else 0
        start = int(places[first]) if count else 0
        into.append(slice(start, start + stride * count, stride))
        out_of.append(slice(first, first + count))
    made[:, :, *into] = images[:, :, *out_of]
    rank = len(full)
    ones, none = (1,) * rank, (0,) * rank
    return made, Windows(tuple(full), windows.kernel, ones, windows.dilations, none, none, windows.sizes)


def _frames_as_positions(rows: np.ndarray, samples: int) -> np.ndarray:
    """[samples · frames, groups, positions, n] as [samples, groups, frames · positions, n]."""
    if len(rows) == samples:
        return rows
    split = rows.reshape(samples, -1, *rows.shape[1:]).swapaxes(1, 2)
    return split.reshape(samples, rows.shape[1], -1, rows.shape[-1])
