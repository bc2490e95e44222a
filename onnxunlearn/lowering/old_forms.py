"""Ops as opset 7 to 10 wrote them, in today's words: what were attributes become inputs.

Slice, Pad, Clip, TopK  starts and ends, pads and value, bounds, k become inputs
Upsample, Resize        Resize of asymmetric coordinates; nearest cells are below, or above where it shrinks
BatchNormalization      without `spatial`, which is always so by now
Dropout                 without a mask that nobody reads, which was of floats
Scatter                 ScatterElements

All others mean the same in opset 11. What is written for a model here and there (windows of maps, sums over
places) can then be written in one way. That of the library, `onnx.version_converter`, leaves out which
coordinates an old Resize meant, and what comes of it computes something else without a word.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from onnxunlearn.graph import Model, Node
from onnxunlearn.lowering.contract import lowering_pass
from onnxunlearn.lowering.draft import Draft, Lowering, in_memory, rewrite

#: the oldest opset whose ops are known, and the one that they are written in
OLDEST, NEWER = 7, 11
#: since this opset the mask of a Dropout is one of truth values
_BOOLEAN_MASK = 10


@lowering_pass("renew")
def renew(model: Model) -> Model:
    """The model at opset 11; the model itself if it is of that or a later one, of one before 7, or if it has
    an op that cannot be written so.

    Ensures: all tensors keep their names and values.
    """
    if not OLDEST <= model.opsets.get("", 1) < NEWER or any(_stays(node) for node in model.nodes):
        return model
    made = rewrite(model, _FORMS)
    if any(_is_old(node) for node in made.nodes):
        return model
    proto = onnx.ModelProto()
    proto.CopyFrom(made.proto)
    for stated in proto.opset_import:
        if stated.domain in ("", "ai.onnx"):
            stated.version = NEWER
    return in_memory(made, proto)


def _stays(node: Node) -> bool:
    """Whether it meant something else, or holds a graph of its own."""
    padded = node.attribute("output_shape") or node.attribute("auto_pad", "NOTSET") not in ("NOTSET", "VALID")
    return bool(node.captured) or node.kind in _WITH_BODY or (node.kind == "ConvTranspose" and bool(padded))


def _is_old(node: Node) -> bool:
    return (form := _OLD.get(node.kind)) is not None and form(node)


def slice_(draft: Draft) -> None:
    starts, ends = (list(draft.node.attribute(name)) for name in ("starts", "ends"))
    axes = list(draft.node.attribute("axes", range(len(starts))))
    numbers = (draft.constant(each, np.int64) for each in (starts, ends, axes))
    _write(draft, "Slice", draft.input(0), *numbers)


def pad(draft: Draft) -> None:
    pads = draft.constant(draft.node.attribute("pads"), np.int64)
    value = _like_input(draft, draft.node.attribute("value", 0.0))
    _write(draft, "Pad", draft.input(0), pads, value, mode=draft.node.attribute("mode", "constant"))


def clip(draft: Draft) -> None:
    low, high = (draft.node.attribute(name) for name in ("min", "max"))
    bounds = ["" if bound is None else _like_input(draft, bound) for bound in (low, high)]
    while bounds and not bounds[-1]:
        bounds.pop()
    _write(draft, "Clip", draft.input(0), *bounds)


def top_k(draft: Draft) -> None:
    k = draft.constant([draft.node.attribute("k")], np.int64)
    _write(draft, "TopK", draft.input(0), k, axis=draft.node.attribute("axis", -1))


def batch_normalization(draft: Draft) -> None:
    draft.require(draft.node.attribute("spatial", 1) == 1, "a mean of each place of its own")
    given = {name: draft.node.attribute(name) for name in ("epsilon", "momentum")}
    _write(draft, "BatchNormalization", *draft.node.inputs, **given)


def dropout(draft: Draft) -> None:
    draft.require(not draft.used(1), "a mask that is read")
    draft.op("Dropout", draft.input(0), to=draft.node.outputs[0], ratio=draft.node.attribute("ratio"))
    draft.made[-1].name = draft.node.name


def scatter(draft: Draft) -> None:
    _write(draft, "ScatterElements", *draft.node.inputs, axis=draft.node.attribute("axis", 0))


def resize(draft: Draft) -> None:
    """Those before opset 11 have scales alone."""
    mode = draft.node.attribute("mode", "nearest")
    given = draft.node.attribute("scales")
    scales = draft.known(1) if given is None else np.asarray(given, np.float32)
    named = draft.input(1) if given is None else draft.constant(scales)
    how = {"mode": mode, "coordinate_transformation_mode": "asymmetric"}
    if mode == "nearest":
        draft.require(scales is not None, "scales that are computed")
        assert scales is not None
        draft.require((scales >= 1).all() or (scales <= 1).all(), "it shrinks one axis and enlarges another")
        how["nearest_mode"] = "floor" if (scales >= 1).all() else "ceil"
    _write(draft, "Resize", draft.input(0), draft.constant([]), named, **how)


def _like_input(draft: Draft, number: float) -> str:
    """A constant of the type of what the node reads: an attribute has none."""
    kind = draft.model.element_types.get(draft.input(0), onnx.TensorProto.FLOAT)
    return draft.constant(number, onnx.helper.tensor_dtype_to_np_dtype(kind))


def _write(draft: Draft, kind: str, *inputs: str, **attributes: Any) -> None:
    """In the node's place, with its name and all of its outputs."""
    draft.op(kind, *inputs, to=draft.node.outputs[0], **attributes)
    made = draft.made[-1]
    made.name = draft.node.name
    del made.output[:]
    made.output.extend(draft.node.outputs)


_WITH_BODY = frozenset({"Loop", "If", "Scan"})
#: op -> whether a node is in the form that opset 11 no longer has
_OLD: dict[str, Callable[[Node], bool]] = {
    "Slice": lambda node: len(node.inputs) < 2,
    "Pad": lambda node: len(node.inputs) < 2,
    "TopK": lambda node: len(node.inputs) < 2,
    "Clip": lambda node: bool({"min", "max"} & set(node.attributes)),
    "BatchNormalization": lambda node: "spatial" in node.attributes,
    "Dropout": lambda node: len(node.outputs) > 1 and node.opset < _BOOLEAN_MASK,
    "Scatter": lambda node: True,
    "Upsample": lambda node: True,
    "Resize": lambda node: len(node.inputs) < 3,
}
_NEW: dict[str, Lowering] = {
    "Slice": slice_,
    "Pad": pad,
    "TopK": top_k,
    "Clip": clip,
    "BatchNormalization": batch_normalization,
    "Dropout": dropout,
    "Scatter": scatter,
    "Upsample": resize,
    "Resize": resize,
}


def _if_old(kind: str, form: Lowering) -> Lowering:
    def lowered(draft: Draft) -> None:
        draft.require(_OLD[kind](draft.node), "it is in today's form")
        form(draft)

    return lowered


_FORMS = {kind: _if_old(kind, form) for kind, form in _NEW.items()}
