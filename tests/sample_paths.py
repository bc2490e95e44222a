"""The sample models and their images, as tests use them; and models made from them in other storage."""

from functools import cache
from pathlib import Path

import numpy as np
import onnx

SAMPLES = Path(__file__).parents[1] / "sample_models"
MLP, CNN = SAMPLES / "mnist_mlp.onnx", SAMPLES / "mnist_cnn.onnx"
RESNET, MOBILE = SAMPLES / "mnist_resnet.onnx", SAMPLES / "fashion_mobile.onnx"
MNIST_PROBES, FASHION_PROBES = SAMPLES / "mnist_probes.npz", SAMPLES / "fashion_probes.npz"
MNIST_LABELS, FASHION_LABELS = SAMPLES / "mnist_labels.txt", SAMPLES / "fashion_labels.txt"


@cache
def images(name: str) -> tuple[np.ndarray, np.ndarray]:
    """x and y of `mnist_probes`, `mnist_test`, `fashion_probes` or `fashion_test`."""
    with np.load(SAMPLES / f"{name}.npz") as arrays:
        return arrays["x"], arrays["y"]


def probes(per_class: int = 8) -> dict[str, np.ndarray]:
    """The first MNIST probes of each class: enough to try something, fast."""
    x, y = images("mnist_probes")
    chosen = np.concatenate([np.flatnonzero(y == c)[:per_class] for c in range(10)])
    return {"x": x[chosen], "y": y[chosen]}


def mlp() -> onnx.ModelProto:
    """A copy of mnist_mlp to change: Flatten, then Gemms with weights 1, 3 and 5 and ReLU between."""
    return onnx.load(MLP)
