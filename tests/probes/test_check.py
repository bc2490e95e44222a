from typing import Any

import numpy as np
import pytest
from onnx import TensorProto as T

from onnxunlearn.errors import InputError
from onnxunlearn.probes import Labels
from onnxunlearn.probes.check import joined, named_probes, single_probes
from onnxunlearn.probes.inputs import declared_inputs

from .tiny_models import samples, tiny_model

ONE = declared_inputs(tiny_model(("pixels", T.FLOAT, ["N", 2])))
TWO = declared_inputs(tiny_model(("a", T.FLOAT, ["N", 2]), ("b", T.INT64, ["N"])))


def with_y(y: Any) -> Any:
    return named_probes({"x": samples(3, 2), "y": y}, ONE, Labels(4), "p").y


@pytest.mark.parametrize("name", ["x", "pixels"])
def test_the_only_input_by_its_name_or_x(name: str) -> None:
    probes = named_probes({name: samples(3, 2)}, ONE, Labels(4), "p")
    assert list(probes.feeds) == ["pixels"]
    assert probes.y is None


def test_several_inputs_by_name() -> None:
    probes = named_probes({"b": np.arange(3), "a": samples(3, 2), "y": [0, 1, 2]}, TWO, Labels(4), "p")
    assert list(probes.feeds) == ["a", "b"]
    assert probes.y is not None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "no array for input 'pixels', it has no arrays; name the arrays 'pixels'"),
        ({"image": samples(3, 2)}, "it has 'image'"),
        ({"y": [1]}, "no array for input 'pixels'"),
        ({"x": samples(3, 2), "z": 1}, "'z' is not an input"),
        ({"x": samples(3, 2), "pixels": samples(3, 2)}, "'x' is not an input"),
    ],
)
def test_missing_and_extra_names(arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        named_probes(arrays, ONE, Labels(4), "p")


def test_x_does_not_stand_for_one_of_several_inputs() -> None:
    with pytest.raises(InputError, match="no array for input 'a'"):
        named_probes({"x": samples(3, 2)}, TWO, Labels(4), "p")
    with pytest.raises(InputError, match="one array, but the model has inputs 'a', 'b'"):
        single_probes(samples(3, 2), TWO, Labels(4), "p")


def test_an_input_called_y_is_an_input() -> None:
    inputs = declared_inputs(tiny_model(("y", T.FLOAT, ["N", 2])))
    probes = named_probes({"y": samples(3, 2)}, inputs, Labels(4), "p")
    assert list(probes.feeds) == ["y"]
    assert probes.y is None


def test_inputs_of_different_lengths() -> None:
    with pytest.raises(InputError, match="input 'b' has 4 samples, 'a' has 3"):
        named_probes({"a": samples(3, 2), "b": np.arange(4)}, TWO, Labels(4), "p")


@pytest.mark.parametrize(
    "y",
    [
        [3, 0, 1],
        np.array([3, 0, 1], np.uint8),
        np.array([3, 0, 1], np.float32),
        np.eye(4)[[3, 0, 1]],
        np.eye(4, dtype=bool)[[3, 0, 1]],
    ],
)
def test_classes_of_any_numeric_type_or_one_hot(y: Any) -> None:
    found = with_y(y)
    assert found.dtype == np.int64
    assert found.tolist() == [3, 0, 1]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0, 1, 4], r"y is 4 in sample 2, expected integers 0\.\.3"),
        (
            [1, 2, 4],
            "y is 4 in sample 2, .*; it seems to start at 1, where the model starts at 0; subtract 1",
        ),
        (np.array([4, 3, 4], np.uint8), "y is 4 in sample 0, .*; subtract 1 from y"),
        ([0, 1, 4], "; correct y$"),
        ([1, 2, 5], "; correct y$"),
        ([0, -1, 1], "y is -1 in sample 1, .*; correct y$"),
        (np.array([255, 3, 7], np.uint8), "y is 255 in sample 0"),
        ([0.5, 1, 2], "y is 0.5 in sample 0"),
        ([0, np.nan, 2], "y is nan in sample 1"),
        (np.array([2**64 - 1, 0, 0], np.uint64), "y is 18446744073709551615"),
        ([0, 1], r"y has shape \(2,\) for 3 samples"),
        ([[0], [1], [2]], r"y has shape \(3, 1\)"),
        (np.eye(5)[:3], r"expected \(3,\) or one-hot \(3, 4\)"),
        (np.full((3, 4), 0.25), "not one-hot in sample 0"),
        (["a", "b", "c"], "y has dtype <U1"),
        (np.array([{}, 1, 2], dtype=object), "y has dtype object"),
        ([[1], [2, 3], [4]], "y is not an array"),
    ],
)
def test_classes_that_do_not_fit(y: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        with_y(y)
    assert str(raised.value).startswith("p: ")


def test_joined_keeps_order() -> None:
    batches = [named_probes({"x": samples(n, 2), "y": [n] * n}, ONE, Labels(4), "p") for n in (1, 3, 2)]
    whole = joined(batches, "all")
    assert whole.source == "all"
    assert whole.y is not None
    assert whole.y.tolist() == [1, 3, 3, 3, 2, 2]
    assert len(whole) == 6


def test_joined_refuses_batches_that_do_not_match() -> None:
    free = declared_inputs(tiny_model(("pixels", T.FLOAT, ["N", "len"])))
    with pytest.raises(InputError, match=r"different shapes \(\(2,\) and \(3,\)\)"):
        joined([single_probes(samples(1, n), free, Labels(4), "p") for n in (2, 3)], "all")
    with pytest.raises(InputError, match="some batches have 'y'"):
        joined([named_probes({"x": samples(1, 2), "y": y}, ONE, Labels(4), "p") for y in (None, [1])], "all")
    with pytest.raises(InputError, match="gave no batches"):
        joined([], "all")
