"""Interpolation: a matrix along each axis, found by what the standard's evaluator makes of the identity."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from onnxunlearn.graph import Node
from onnxunlearn.graph.folding import evaluate
from onnxunlearn.reverse.adjoints.site import Site, adjoint
from onnxunlearn.reverse.expression import Value
from onnxunlearn.reverse.local_map import LocalMap

#: nearest_mode -> the cell at a position between cells
_CELLS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round_prefer_floor": lambda at: np.ceil(at - at.dtype.type(0.5)),
    "round_prefer_ceil": lambda at: np.floor(at + at.dtype.type(0.5)),
}


@adjoint("Resize", "Upsample")
def resize(site: Site) -> LocalMap:
    """Interpolation is a matrix along each axis; its adjoint is the transposed matrix."""
    shape, out = site.shape(), site.y_shape
    axes = [a for a, (n, m) in enumerate(zip(shape, out, strict=True)) if n != m]
    matrices = {a: interpolation(site, a) for a in axes}

    def back(signal: Value) -> Value:
        for axis, matrix in matrices.items():
            order = [*[a for a in range(len(shape)) if a != axis], axis]
            turned = site.emitter.op("MatMul", signal.transpose(order), site.emitter.constant(matrix))
            signal = turned.transpose([int(i) for i in np.argsort(order)])
        return signal

    return site.map("average", back)


def interpolation(site: Site, axis: int) -> np.ndarray:
    """[out, in] of a Resize along one axis, found by resizing the identity along that axis alone."""
    node, rank = site.node, len(site.shape())
    n, m = site.shape()[axis], site.y_shape[axis]
    scales, sizes = None, None
    mode = node.attribute("coordinate_transformation_mode")
    by_sizes = len(node.inputs) > 3 and bool(node.inputs[3])
    if by_sizes and node.attribute("keep_aspect_ratio_policy", "stretch") != "stretch":
        ratios = {site.y_shape[a] / site.shape()[a] for a in _resized_axes(node, rank)}
        if len(ratios) > 1:  # its one scale is not what the rounded sizes say
            raise site.unsupported("keep_aspect_ratio_policy with rounded sizes is not covered")
    if not by_sizes and mode != "align_corners":  # which asks for no scale, and the evaluator for m unrounded
        index = 1 if node.kind == "Upsample" or node.opset < 11 else 2
        given = np.asarray(node.attribute("scales")) if node.attribute("scales") else site.constant(index)
        assert given is not None
        scales = np.array([1, given[list(_resized_axes(node, rank)).index(axis)]], np.float32)
    else:
        sizes = np.array([n, m], np.int64)
    attributes = {
        k: node.attribute(k)  # not as bytes
        for k in node.attributes
        if k not in {"axes", "scales", "keep_aspect_ratio_policy"}
    }
    if mode == "tf_crop_and_resize":
        raise site.unsupported("mode tf_crop_and_resize is not covered")
    if node.opset < 11:  # what the old ops did, in today's words
        attributes = {
            "mode": node.attribute("mode", "nearest"),
            "coordinate_transformation_mode": "asymmetric",
            "nearest_mode": "ceil" if m < n else "floor",  # as ONNX Runtime runs them
        }
    nearest = attributes.get("mode", "nearest") == "nearest"
    if nearest and scales is not None and _tied(n, m, float(scales[1]), attributes):
        raise site.unsupported(f"cells nearest by a scale of {scales[1]:g} are a matter of rounding")
    inputs = ["x", "", "scales" if scales is not None else "", "sizes" if sizes is not None else ""]
    one = onnx.helper.make_node("Resize", inputs if sizes is not None else inputs[:3], ["y"], **attributes)
    operands = [np.eye(n, dtype=np.float32), None, scales, sizes]
    rows = evaluate(Node(0, one, max(node.opset, 18)), operands[: len(one.input)])[0]
    return np.asarray(rows).reshape(n, m).T


def _tied(n: int, m: int, scale: float, attributes: Mapping[str, Any]) -> bool:
    """Whether a position lies so near to where cells part that ONNX Runtime, in float32, takes another than
    the standard's evaluator, in float64."""
    mode = attributes.get("coordinate_transformation_mode", "half_pixel")
    cell = _CELLS[attributes.get("nearest_mode", "round_prefer_floor")]
    found = []
    for kind in (np.float32, np.float64):
        at: np.ndarray = np.arange(m).astype(kind)
        by, half = np.full(m, scale, kind), np.full(m, 0.5, kind)
        found.append(cell(at / by if mode == "asymmetric" else (at + half) / by - half).clip(0, n - 1))
    return not np.array_equal(found[0], found[1]) or (mode == "pytorch_half_pixel" and m == 1)


def _resized_axes(node: Node, rank: int) -> Sequence[int]:
    return [a % rank for a in node.attribute("axes")] if node.attribute("axes") else range(rank)
