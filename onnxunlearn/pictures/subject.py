"""What there is to draw: which input of the model, what kind of data it takes, where its relevance lies."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx

from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph import Logits, Model
from onnxunlearn.graph.tensors import FLOATS
from onnxunlearn.reverse import path_between

Kind = Literal["image", "series", "table", "tokens"]

_KINDS: dict[int, Kind] = {4: "image", 3: "series", 2: "table", 1: "table"}


@dataclass(frozen=True)
class Subject:
    """The input that is drawn.

    tensor: where its relevance is read; the input itself, or for integers (which carry none) the first
    float tensor made of it: the embeddings of tokens [N, T, D], the pixels after a Cast.
    """

    input: str
    tensor: str
    kind: Kind


def find_subject(model: Model, logits: Logits, name: str | None = None) -> Subject:
    """What to draw: the input called `name`, or the first that can be drawn, float inputs before tokens.

    Raises InputError if there is no such input, UnsupportedError if nothing can be drawn of it.
    """
    inputs = {info.name: info for info in model.inputs}
    if name is not None and name not in inputs:
        raise InputError(f"no input {name!r}; the model has: {', '.join(inputs)}")
    found = [(info, s) for info in model.inputs if (s := _subject(model, info, logits)) is not None]
    if name is not None:
        found = [(info, subject) for info, subject in found if info.name == name]
    if not found:
        raise UnsupportedError(
            f"input {name or ', '.join(inputs)!r}: pictures are of images [N, C, H, W], series [N, C, T], "
            "rows [N, F] and tokens that are embedded; `onnxunlearn relevance` gives arrays of any shape"
        )
    floats = [s for _, s in found if s.kind != "tokens"]
    # word embeddings before token types and positions: the largest table
    return floats[0] if floats else max((s for _, s in found), key=lambda s: _table_rows(model, s.tensor))


def starts_with_conv(model: Model, subject: Subject, logits: Logits) -> bool:
    """Whether a convolution is the first node with a weight behind the input."""
    for node in path_between(model, [subject.tensor], logits.tensor):
        if node.traits.linear:
            return node.traits.channels == 1
    return False


def as_images(array: np.ndarray) -> np.ndarray:
    """[N, C, H, W] or [N, H, W, C] as [N, H, W, C]. 1 or 3 channels first are taken before last."""
    channels_last = array.shape[1] not in (1, 3) and array.shape[3] in (1, 3)
    return array if channels_last else np.moveaxis(array, 1, -1)


def as_series(array: np.ndarray) -> np.ndarray:
    """[N, C, T] or [N, T, C] as [N, C, T]: time is the longer axis."""
    return np.swapaxes(array, 1, 2) if array.shape[1] > array.shape[2] else array


def relevance_map(subject: Subject, relevance: np.ndarray) -> np.ndarray:
    """One number for each place: images [N, H, W], series [N, T], table [N, F], tokens [N, T]."""
    if subject.kind == "image":
        return np.asarray(as_images(relevance).sum(axis=-1))
    if subject.kind == "series":
        return np.asarray(as_series(relevance).sum(axis=1))
    if subject.kind == "tokens":
        return np.asarray(relevance.sum(axis=-1))
    return relevance.reshape(len(relevance), -1)


def _subject(model: Model, info: onnx.ValueInfoProto, logits: Logits) -> Subject | None:
    rank = len(info.type.tensor_type.shape.dim)
    is_float = info.type.tensor_type.elem_type in FLOATS
    embedded = None if is_float else _embedding(model, info.name)
    tensor = info.name if is_float else embedded
    if tensor is None and rank > 2:  # a mask is [N, T]; what has more axes and becomes float is pixels
        tensor = _converted(model, info.name)
    kind: Kind | None = "tokens" if embedded else _KINDS.get(rank)
    if tensor is None or kind is None or (embedded and rank != 2):
        return None
    if not any(tensor in node.inputs for node in path_between(model, [tensor], logits.tensor)):
        return None
    return Subject(info.name, tensor, kind)


def _embedding(model: Model, name: str) -> str | None:
    """The output of the Gather that looks the tokens up in a stored table."""
    for node in model.consumers.get(name, ()):
        if node.kind == "Gather" and node.inputs[1] == name and _is_table(model, node.inputs[0]):
            return node.outputs[0]
        if node.kind in {"Cast", "Identity"} and (found := _embedding(model, node.outputs[0])):
            return found
    return None


def _is_table(model: Model, name: str) -> bool:
    values = model.constant(name)
    return values is not None and values.ndim == 2 and values.dtype.kind != "i"


def _table_rows(model: Model, embedding: str) -> int:
    values = model.constant(model.producer[embedding].inputs[0])
    return 0 if values is None else len(values)


def _converted(model: Model, name: str) -> str | None:
    """The float tensor of the same shape that a Cast or DequantizeLinear makes of integers."""
    for node in model.consumers.get(name, ()):
        if node.kind == "DequantizeLinear" or (node.kind == "Cast" and node.attribute("to") in FLOATS):
            return node.outputs[0]
        if node.kind == "Identity" and (found := _converted(model, node.outputs[0])):
            return found
    return None
