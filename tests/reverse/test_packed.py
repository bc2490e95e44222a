"""What goes back to few channels, packed into one convolution: the same numbers as one place at a time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from onnxunlearn.choices import ENGINES
from onnxunlearn.engines import create_engine
from onnxunlearn.reverse.adjoints.packed import packed
from onnxunlearn.reverse.adjoints.window import Window
from onnxunlearn.reverse.expression import Emitter

#: (input channels, sizes, kernel, what else)
WORTH_IT: list[tuple[int, tuple[int, int], tuple[int, int], dict[str, Any]]] = [
    (1, (28, 28), (3, 3), {"pads": [1, 1, 1, 1]}),
    (2, (27, 30), (3, 5), {"pads": [1, 2, 1, 2]}),
    (3, (25, 21), (3, 3), {}),
    (6, (56, 57), (7, 7), {"strides": [2, 2], "pads": [3, 3, 3, 3]}),
    (6, (64, 64), (7, 7), {"strides": [2, 2], "pads": [2, 3, 3, 2]}),
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("channels", "sizes", "kernel", "attributes"), WORTH_IT)
def test_the_same_as_the_adjoint(
    channels: int, sizes: tuple[int, int], kernel: tuple[int, int], attributes: dict[str, Any], engine: str
) -> None:
    window = Window.over(sizes, kernel, attributes)
    generator = np.random.default_rng(0)
    w = generator.normal(size=(5, channels, *kernel)).astype(np.float32)
    signal = generator.normal(size=(2, 5, *window.counts)).astype(np.float32)

    emitter = Emitter()
    s, weight = emitter.input("s", signal.shape), emitter.constant(w)
    made = packed(window, weight, s, w.shape)
    assert made is not None
    shape: Sequence[int] = (2, channels, *sizes)
    results = {"packed": (made, shape), "plain": (window.adjoint(weight, s, 1, w.shape), shape)}
    values = create_engine(engine).session(emitter.finish(results)).run({"s": signal})
    np.testing.assert_allclose(values["packed"], values["plain"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("channels", "kernel", "attributes"),
    [
        (16, (3, 3), {"pads": [1, 1, 1, 1]}),  # as many as are made at once
        (3, (1, 1), {}),  # as many multiplications by zeros as are won
        (3, (3, 3), {"dilations": [2, 2]}),
        (3, (3, 3), {"strides": [5, 5]}),  # most places take nothing
    ],
)
def test_not_where_it_wins_nothing(
    channels: int, kernel: tuple[int, int], attributes: dict[str, Any]
) -> None:
    window, emitter = Window.over((24, 24), kernel, attributes), Emitter()
    w = emitter.constant(np.ones((5, channels, *kernel), np.float32))
    assert packed(window, w, emitter.input("s", (2, 5, *window.counts)), (5, channels, *kernel)) is None


def test_not_with_weights_that_are_fed() -> None:
    window, emitter = Window.over((24, 24), (3, 3), {}), Emitter()
    w, s = emitter.input("w", (5, 1, 3, 3)), emitter.input("s", (2, 5, *window.counts))
    assert packed(window, w, s, (5, 1, 3, 3)) is None
