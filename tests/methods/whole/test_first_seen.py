"""Where queries see a class first."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from onnxunlearn.methods.whole.first_seen import first_seen

QUERIES = 5


def _made(*shape: int, differ: bool = True) -> np.ndarray:
    """Of two images."""
    values = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    return values if differ else np.repeat(values[:1], 2, axis=0)


def _layer(output: str, *, dense: bool = True) -> Any:
    return SimpleNamespace(output=output, dense=dense)


def test_it_is_where_images_first_differ_in_what_is_said_of_each_query() -> None:
    made = {
        "map": _made(QUERIES, 4, 4),
        "tokens": _made(16, 8),
        "asked": _made(QUERIES, 8, differ=False),
        "along": _made(QUERIES, 8),
        "seen": _made(QUERIES, 8),
        "last": _made(QUERIES, 8),
    }
    layers = [_layer(name, dense=name != "along") for name in made]
    assert first_seen(layers, made, QUERIES) == "seen"
    assert first_seen(layers, made, 16) == "tokens"
    assert first_seen(layers, made, 7) is None


def test_one_image_does_not_tell() -> None:
    assert first_seen([_layer("seen")], {"seen": _made(QUERIES, 8)[:1]}, QUERIES) is None
