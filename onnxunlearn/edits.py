"""Edits: new values for stored weights, made in a layer's canonical layout [outputs, inputs, *kernel]."""

from collections.abc import Callable

import numpy as np

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Layer, Model, StoredTensor
from onnxunlearn.registry import Registry

#: (weights, random generator) -> perturbed weights of the same shape
Perturbation = Callable[[np.ndarray, np.random.Generator], np.ndarray]
perturbation: Registry[Perturbation] = Registry("perturbation")


@perturbation("zero")
def zero(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Remove the weights: the connection or neuron is gone."""
    return np.zeros_like(weights)


@perturbation("halve")
def halve(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Dampen the weights to half."""
    return weights * 0.5


@perturbation("flip")
def flip(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn the sign: what spoke for the class speaks against it."""
    return -weights


@perturbation("noise")
def noise(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Replace the weights by Gaussian noise of the same standard deviation."""
    deviation = float(weights.std()) if weights.size else 0.0
    return rng.normal(0.0, deviation, weights.shape)


class Edits:
    """A set of changed weights on top of a model, which itself stays as it is.

    arrays: stored tensor -> its new values, in stored layout and dtype; what `graph.patch` writes and what a
    trial feeds. Copying is cheap; every change replaces an array and never writes into one.
    """

    def __init__(self, model: Model, arrays: dict[str, np.ndarray] | None = None) -> None:
        self.model = model
        self.arrays: dict[str, np.ndarray] = dict(arrays or {})

    def copy(self) -> "Edits":
        return Edits(self.model, self.arrays)

    def weight(self, layer: Layer) -> np.ndarray:
        """The layer's weight as it stands, canonical layout."""
        return self._read(layer.weight)

    def set_weight(self, layer: Layer, values: np.ndarray) -> None:
        """Raises UnsupportedError if other nodes read the same stored tensor."""
        self._write(layer, layer.weight, values)

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
        return self.arrays[name] if name in self.arrays else self.model.array(name)

    def _read(self, tensor: StoredTensor) -> np.ndarray:
        return tensor.view(self._stored(tensor.name))

    def _write(self, layer: Layer, tensor: StoredTensor, values: np.ndarray) -> None:
        if tensor.shared:
            others = ", ".join(repr(n.name) for n in tensor.readers if n.index != layer.node.index)
            raise UnsupportedError(
                f"{layer.node}: its tensor {tensor.name!r} is shared with {others or 'itself'}; "
                "editing it would change those too"
            )
        self.arrays[tensor.name] = tensor.write(self._stored(tensor.name), values)
