"""Windows that overlap or leave gaps, judged by torch's autograd.

All outputs are seeded at once: a seed on one of them cannot see whether cells that several windows share get
the sum of what each sends back.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import helper

from onnxunlearn.choices import ENGINES
from onnxunlearn.engines import create_engine
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Logits, as_float64
from onnxunlearn.relevance import Propagator, parse_composite
from tests.relevance.layers import flattened

torch = pytest.importorskip("torch")
functional = torch.nn.functional

X = np.random.default_rng(0).permutation(2 * 4 * 9 * 8).reshape(2, 4, 9, 8).astype(np.float32) / 100 - 3
W = np.random.default_rng(1).normal(size=(6, 2, 3, 2)).astype(np.float32)

#: name -> op, attributes, the same in torch
WINDOWS: dict[str, tuple[str, dict[str, Any], Callable[[Any], Any]]] = {
    "maxima that win often": (
        "MaxPool",
        {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]},
        lambda x: functional.max_pool2d(x, 3, 1, 1),
    ),
    "maxima with gaps": (
        "MaxPool",
        {"kernel_shape": [2, 2], "strides": [3, 3]},
        lambda x: functional.max_pool2d(x, 2, 3),
    ),
    "dilated maxima": (
        "MaxPool",
        {"kernel_shape": [3, 2], "dilations": [2, 3]},
        lambda x: functional.max_pool2d(x, (3, 2), 1, 0, (2, 3)),
    ),
    "maxima over the edge": (
        "MaxPool",
        {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
        lambda x: functional.max_pool2d(x, 3, 2, ceil_mode=True),
    ),
    "maxima of odd padding": (
        "MaxPool",
        {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
        lambda x: functional.max_pool2d(functional.pad(x, (0, 1, 1, 1), value=-np.inf), 3, 2),
    ),
    "maxima of few cells and much padding": (
        "MaxPool",
        {"kernel_shape": [3, 3], "dilations": [6, 5], "pads": [2, 2, 2, 2]},
        lambda x: functional.max_pool2d(functional.pad(x, (2, 2, 2, 2), value=-np.inf), 3, 1, 0, (6, 5)),
    ),
    "averages of cells": (
        "AveragePool",
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
        lambda x: functional.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    ),
    "averages of cells and padding": (
        "AveragePool",
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1},
        lambda x: functional.avg_pool2d(x, 3, 2, 1, count_include_pad=True),
    ),
    "averages over the edge": (
        "AveragePool",
        {"kernel_shape": [2, 3], "strides": [2, 2], "ceil_mode": 1},
        lambda x: functional.avg_pool2d(x, (2, 3), 2, ceil_mode=True),
    ),
    "convolution": (
        "Conv",
        {"group": 2, "pads": [1, 0, 1, 0]},
        lambda x: functional.conv2d(x, torch.from_numpy(W).to(x), None, 1, (1, 0), groups=2),
    ),
    "strided, dilated convolution": (
        "Conv",
        {"group": 2, "strides": [2, 3], "dilations": [1, 2], "pads": [2, 1, 2, 1]},
        lambda x: functional.conv2d(x, torch.from_numpy(W).to(x), None, (2, 3), (2, 1), (1, 2), 2),
    ),
    "convolution with gaps": (
        "Conv",
        {"group": 2, "strides": [5, 5]},
        lambda x: functional.conv2d(x, torch.from_numpy(W).to(x), None, 5, groups=2),
    ),
    "convolution of nothing but padding": (
        "Conv",
        {"group": 2, "strides": [20, 20], "pads": [9, 9, 0, 0]},
        lambda x: functional.conv2d(
            functional.pad(x, (9, 0, 9, 0)), torch.from_numpy(W).to(x), None, 20, groups=2
        ),
    ),
    "convolution of odd padding": (
        "Conv",
        {"group": 2, "auto_pad": "SAME_LOWER"},
        lambda x: functional.conv2d(functional.pad(x, (1, 0, 1, 1)), torch.from_numpy(W).to(x), groups=2),
    ),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", WINDOWS)
def test_every_window_sends_back_to_all_its_cells(name: str, engine: str) -> None:
    op, attributes, same = WINDOWS[name]
    weights = {"w": W} if op == "Conv" else {}
    model = flattened([helper.make_node(op, ["x", *weights], ["y"], **attributes)], X, weights)
    dtype = np.float32 if engine == "onnxruntime" else np.float64
    x = X.astype(dtype)

    leaf = torch.from_numpy(x).requires_grad_()
    y = same(leaf)
    seed = np.random.default_rng(2).normal(size=(len(x), y[0].numel())).astype(dtype)
    y.backward(torch.from_numpy(seed).reshape(y.shape))

    propagator = Propagator(
        model if dtype is np.float32 else as_float64(model),
        Logits("logits", "logits", seed.shape[1], None),
        create_engine(engine),
        parse_composite("gradient"),
        ["x"],
        dtype,
    )
    (batch,) = propagator.run({"x": x}, seed, len(x))
    tolerance = 1e-5 if dtype is np.float32 else 1e-12
    np.testing.assert_allclose(batch.logits, y.detach().reshape(len(x), -1), rtol=0, atol=10 * tolerance)
    np.testing.assert_allclose(batch.relevance["x"], leaf.grad, rtol=0, atol=tolerance * np.abs(seed).max())


#: what ONNX Runtime places where the attributes do not say
ELSEWHERE: dict[str, tuple[str, dict[str, Any]]] = {
    "dilated maxima, padded as if they were not": (
        "MaxPool",
        {"kernel_shape": [3, 3], "strides": [9, 9], "dilations": [2, 2], "auto_pad": "SAME_UPPER"},
    ),
    "strides that leave cells over at the beginning": ("Conv", {"strides": [1, 8], "auto_pad": "SAME_UPPER"}),
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_windows_that_lie_elsewhere_are_refused(name: str) -> None:
    op, attributes = ELSEWHERE[name]
    weights = {"w": np.ones((2, 4, 1, 1), np.float32)} if op == "Conv" else {}
    model = flattened([helper.make_node(op, ["x", *weights], ["y"], **attributes)], X, weights)
    propagator = Propagator(
        model,
        Logits("logits", "logits", 4, None),
        create_engine("onnxruntime"),
        parse_composite("gradient"),
        ["x"],
    )
    with pytest.raises(UnsupportedError, match="auto_pad SAME"):
        list(propagator.run({"x": X}, np.zeros(len(X), np.int64), len(X)))
