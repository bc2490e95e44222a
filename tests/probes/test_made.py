"""Probes made from a model are what that model takes for its classes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto as T

from onnxunlearn import judge
from onnxunlearn.engines import create_engine
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Logits, Model, find_logits, load
from onnxunlearn.probes import MADE, Maker, Probes, lacks_retained, with_made
from onnxunlearn.probes.made import _spread

from ..sample_paths import CNN, MLP, probes
from .tiny_models import tiny_model


def maker(model: Model, seed: int = 0) -> Maker:
    return Maker(model, find_logits(model), create_engine(), 32, seed)


def taken_for(model: Model, feeds: dict[str, np.ndarray]) -> np.ndarray:
    return np.asarray(judge.scores(model, find_logits(model), create_engine(), feeds, 32).argmax(axis=1))


@pytest.mark.parametrize("path", [MLP, pytest.param(CNN, marks=pytest.mark.slow)])
def test_from_noise_each_class_gets_samples_that_the_model_takes_for_it(path: Path) -> None:
    model = load(path)
    made = maker(model).from_noise((3,))
    assert (made.source, made.y) == (MADE, None)
    assert made.made is not None
    assert made.made.all()
    x = made.feeds["x"]
    assert x.shape == (160, 1, 28, 28)
    assert x.dtype == np.float32
    assert np.abs(x).max() <= 3
    found = np.bincount(taken_for(model, made.feeds), minlength=10)
    assert (found >= 12).all()


def test_same_seed_same_probes() -> None:
    model = load(MLP)
    first, second, other = (maker(model, seed).from_noise((3,)).feeds["x"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_beside_given_ones_the_retained_classes_get_samples_close_to_them() -> None:
    model = load(MLP)
    arrays = probes()
    given = Probes({"x": arrays["x"]}, arrays["y"], "digits").of([3])
    scores = judge.scores(model, find_logits(model), create_engine(), given.feeds, 32)
    made = maker(model).beside(given, scores, (3,))
    found = taken_for(model, made.feeds)
    counts = np.bincount(found, minlength=10)
    assert (np.delete(counts, 3) >= 24).all()
    near = made.feeds["x"][: 9 * 24]
    distance = np.abs(near[:, None] - given.feeds["x"]).mean(axis=(2, 3, 4)).min(axis=1)
    unlike = np.abs(made.feeds["x"][9 * 24 :, None] - given.feeds["x"]).mean(axis=(2, 3, 4)).min(axis=1)
    assert distance.max() < unlike.min()

    both = with_made(given, replace(made, y=found), (3,))
    assert both.made is not None
    assert both.y is not None
    assert both.made.sum() == (found != 3).sum()
    assert (both.y[~both.made] == 3).all()
    assert (both.y[both.made] != 3).all()
    assert len(both) == len(both.y) == len(both.made)


def test_where_no_gradient_passes_noise_has_to_do() -> None:
    model = tiny_model(("x", T.FLOAT, ["N", 4]))
    model.proto.graph.node[0].op_type = "Det"  # of which no adjoint is known
    lines: list[str] = []
    logits = Logits("x_out", "x_out", 4, None)
    made = Maker(model, logits, create_engine(), 32, 0, lines.append).from_noise((0,))
    assert made.feeds["x"].shape == (64, 4)
    assert lines[-1].endswith("noise has to do")


def test_a_size_must_be_known() -> None:
    model = tiny_model(("x", T.FLOAT, ["N", 3, "height", "width"]))
    made = Maker(model, Logits("x_out", "x_out", 3, None), create_engine(), 32, 0)
    with pytest.raises(InputError, match=r"input 'x' takes N × 3 × any × any; name one with --input-shapes"):
        made.from_noise((0,))


def test_time_is_bounded_where_inputs_are_large_or_classes_many() -> None:
    small = _spread(list(range(10)), 2, 16, {"x": (1, 28, 28)})
    np.testing.assert_array_equal(small, np.repeat(np.arange(10), 16))
    large = _spread(list(range(1000)), 2, 16, {"x": (3, 224, 224)})
    np.testing.assert_array_equal(large, np.repeat(np.arange(3), 4))


@pytest.mark.parametrize(
    ("y", "lacks"),
    [
        ([3] * 9, True),
        ([3] * 9 + [5], True),  # taken for another
        ([3] * 9 + [0, 1, 2, 4, 5], False),
        ([3] * 4 + [5] * 4, False),  # as many of one other
        (list(range(10)), False),
        ([5] * 4, False),
    ],
)
def test_what_counts_as_no_retained_probes(y: list[int], lacks: bool) -> None:
    given = Probes({"x": np.zeros((len(y), 1))}, np.array(y), "some")
    assert lacks_retained(given, (3,), 10) is lacks
