"""Edits: new values for stored weights, made in a layer's canonical layout [outputs, inputs, *kernel]."""

from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx import numpy_helper

from onnxunlearn.edits.perturbations import Perturbation
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import FileBytes, Layer, Model, StoredTensor, counts_bytes, may_grow


class Edits:
    """A set of changed weights on top of a model, which itself stays as it is.

    The model may be a lowered one, whose float weights stand for integers or halves in the file. arrays: the
    file's stored tensors -> new values, in stored layout and dtype; what `graph.patch` writes. feeds: the
    model's own constants -> what they become by that, rounding included; what a trial feeds. notes: what a
    stored type could not hold, by tensor. Copying is cheap; every change replaces an array and never writes
    into one.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.file = model.origin or model
        self.arrays: dict[str, np.ndarray] = {}
        self.feeds: dict[str, np.ndarray] = {}
        self.notes: dict[str, str] = {}

    def copy(self) -> "Edits":
        other = Edits(self.model)
        other.arrays, other.feeds, other.notes = dict(self.arrays), dict(self.feeds), dict(self.notes)
        return other

    def applied(self) -> Model:
        """The model with the edits in its own constants; in memory only."""
        proto = onnx.ModelProto()
        proto.CopyFrom(self.model.proto)
        made = Model(FileBytes(), proto, self.model.path, self.model.lent, self.file, self.model.encodings)
        for name, values in self.feeds.items():
            made.stored[name].CopyFrom(numpy_helper.from_array(values, made.stored[name].name))
        return made

    def weight(self, layer: Layer) -> np.ndarray:
        """The layer's weight as it stands, canonical layout."""
        return self._read(layer.weight)

    def set_weight(self, layer: Layer, values: np.ndarray) -> None:
        """Raises UnsupportedError if other nodes read the same stored tensor."""
        before = self._scale_of(layer.weight)
        self._write(layer, layer.weight, values)
        after = self._scale_of(layer.weight)
        if layer.bias is not None and before is not None and after is not None:
            grown = (after != before) & (before != 0)
            self._follow(layer.bias, np.divide(after, before, out=np.ones_like(after), where=grown))

    def bias(self, layer: Layer) -> np.ndarray | None:
        """The layer's bias [outputs] as it stands; None if it has none."""
        return None if layer.bias is None else self._read(layer.bias)

    def set_bias(self, layer: Layer, values: np.ndarray) -> None:
        """Raises UnsupportedError if the layer has no bias, or shares it with other nodes."""
        if layer.bias is None:
            raise UnsupportedError(f"{layer.node} has no bias that could be edited")
        self._write(layer, layer.bias, values)

    def perturb_connections(
        self,
        layer: Layer,
        outputs: np.ndarray,
        inputs: np.ndarray,
        how: Perturbation,
        rng: np.random.Generator,
    ) -> None:
        """Perturb the weights between the given input and output neurons of a layer."""
        weights = self.weight(layer)
        block = np.ix_(outputs, inputs)
        weights[block] = how(weights[block], rng)
        self.set_weight(layer, weights)

    def perturb_neurons(
        self, layer: Layer, neurons: np.ndarray, how: Perturbation, rng: np.random.Generator
    ) -> None:
        """Perturb the incoming weights of a layer's neurons, and their biases."""
        weights, bias = self.weight(layer), self.bias(layer)
        weights[neurons] = how(weights[neurons], rng)
        self.set_weight(layer, weights)
        if bias is not None:
            bias[neurons] = how(bias[neurons], rng)
            self.set_bias(layer, bias)

    def _stored(self, name: str) -> np.ndarray:
        return self.arrays[name] if name in self.arrays else self.file.array(name)

    def _value(self, name: str) -> np.ndarray:
        return self.feeds[name] if name in self.feeds else self.model.array(name)

    def _read(self, tensor: StoredTensor) -> np.ndarray:
        return tensor.view(self._value(tensor.name))

    def _write(self, layer: Layer, tensor: StoredTensor, values: np.ndarray) -> None:
        if tensor.shared:
            others = ", ".join(repr(n.name) for n in tensor.readers if n.index != layer.node.index)
            raise UnsupportedError(
                f"{layer.node}: its tensor {tensor.name!r} is shared with {others or 'itself'}; "
                "editing it would change those too"
            )
        name = tensor.name
        wanted = tensor.write(self._value(name), values)
        if name in self.model.encodings:
            self._encode(name, wanted)
            return
        dtype = self.file.array(name).dtype
        self.arrays[name] = _rounded(wanted, dtype)
        self.feeds[name] = self.arrays[name].astype(wanted.dtype, copy=False)

    def _encode(self, name: str, wanted: np.ndarray) -> None:
        """Store `wanted` as integers. Constants that share a scale which grows keep their values."""
        encoding, encodings = self.model.encodings[name], self.model.encodings
        written = encoding.encode(
            self._stored, wanted, may_grow(self.file, encoding), counts_bytes(self.file, encoding)
        )
        scales = {s.name for s in encoding.scales} & written.arrays.keys()
        others = [n for n, e in encodings.items() if n != name and scales & {s.name for s in e.scales}]
        values = {other: self._value(other) for other in others}
        self.arrays |= written.arrays
        for other, value in values.items():
            self.arrays |= encodings[other].encode(self._stored, value, grow=False).arrays
        for changed in (name, *others):
            self.feeds[changed] = encodings[changed].decode(self._stored)
        if written.grown:
            self.notes[encoding.scales[0].name] = (
                f"{written.grown} scale{'s' * (written.grown > 1)} enlarged, since values of "
                f"{encoding.integers.name!r} would have been clipped"
            )
        if written.clipped:
            self.notes[encoding.integers.name] = (
                f"{written.clipped} value{'s' * (written.clipped > 1)} clipped to what the stored type holds"
            )

    def _scale_of(self, tensor: StoredTensor) -> np.ndarray | None:
        """The scale of a quantised tensor, as stored; None if it is not quantised, or has several."""
        encoding = self.model.encodings.get(tensor.name)
        if encoding is None or len(encoding.scales) != 1:
            return None
        return self._stored(encoding.scales[0].name)

    def _follow(self, bias: StoredTensor, factor: np.ndarray) -> None:
        """A bias counts in steps of input scale times weight scale, and runtimes take that for granted: where
        the weight's scale grew, so must a scale that the bias has of its own."""
        encoding, scale = self.model.encodings.get(bias.name), self._scale_of(bias)
        if encoding is None or scale is None or np.all(factor == 1) or factor.size not in {1, scale.size}:
            return
        value = self._value(bias.name)
        self.arrays[encoding.scales[0].name] = (
            (scale * factor.reshape(-1)).reshape(scale.shape).astype(scale.dtype)
        )
        self.arrays |= encoding.encode(self._stored, value, grow=False).arrays
        self.feeds[bias.name] = encoding.decode(self._stored)


def _rounded(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """In the stored type; finite values stay finite."""
    if values.dtype == dtype:
        return values
    largest = float(ml_dtypes.finfo(dtype).max)  # type: ignore[no-untyped-call]
    finite = np.isfinite(values)
    return np.where(finite, np.clip(values, -largest, largest), values).astype(dtype)
