"""What can be done to weights, by name: `@perturbation("zero")`."""

from collections.abc import Callable

import numpy as np

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
