"""Copies among probes: found where they are, and not where samples are only alike."""

from typing import Any

import numpy as np
import pytest

from onnxunlearn import InputError, examine, unlearn
from onnxunlearn.probes import Probes, copies_among, copy_groups, one_of_each, split

from ..sample_paths import MLP, images, probes


def given(x: np.ndarray, y: np.ndarray | None = None, **more: np.ndarray) -> Probes:
    return Probes({"x": x, **more}, np.zeros(len(x), int) if y is None else y, "given")


@pytest.mark.parametrize("name", ["mnist_probes", "mnist_test", "fashion_probes", "fashion_test"])
def test_different_images_are_none(name: str) -> None:
    x, _ = images(name)
    np.testing.assert_array_equal(copy_groups(given(x)), np.arange(len(x)))


@pytest.mark.parametrize("dtype", [np.int64, np.float32])
def test_equal_samples_of_any_kind(dtype: type) -> None:
    x: np.ndarray = np.array([[1, 2], [3, 4], [1, 2], [1, 3], [3, 4]]).astype(dtype)
    found = given(x)
    assert copy_groups(found).tolist() == [0, 1, 0, 3, 1]
    assert copies_among(found) == 2
    more = np.array([[1], [1], [2], [1], [1]])  # another input tells the first two apart
    assert copy_groups(given(x, mask=more)).tolist() == [0, 1, 2, 3, 1]


def disturbed(x: np.ndarray, how: str) -> np.ndarray:
    rng = np.random.default_rng(0)
    if how == "noise":
        return (x + 0.03 * x.std() * rng.normal(size=x.shape)).astype(np.float32)
    if how == "four bits":
        low, high = x.min(), x.max()
        return (np.round((x - low) / (high - low) * 15) / 15 * (high - low) + low).astype(np.float32)
    if how == "half precision":
        return x.astype(np.float16).astype(np.float32)
    return (x * 1.02).astype(np.float32)


@pytest.mark.parametrize("how", ["noise", "four bits", "half precision", "brighter"])
@pytest.mark.parametrize("name", ["mnist_probes", "fashion_probes"])
def test_images_that_hardly_differ(name: str, how: str) -> None:
    x, _ = images(name)
    found = copy_groups(given(np.concatenate([x, disturbed(x, how)])))
    np.testing.assert_array_equal(found, np.tile(np.arange(len(x)), 2))


def test_one_near_to_a_near_one_and_a_different_second_input() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 1, 8, 8)).astype(np.float32)
    step = 0.04 * rng.normal(size=(1, 8, 8)).astype(np.float32)
    chain = np.concatenate([x, x[:1] + step, x[:1] + 2 * step, x[:1] + 3 * step])
    assert copy_groups(given(chain)).tolist() == [*range(40), 0, 0, 0]
    which = np.arange(43)[:, None]
    assert copy_groups(given(chain, number=which)).tolist() == list(range(43))


def test_values_that_are_no_numbers_are_near_nothing() -> None:
    x = np.random.default_rng(0).normal(size=(6, 1, 4, 4)).astype(np.float32)
    x[1], x[2] = np.nan, x[0]
    x[3, 0, 0, 0] = np.inf
    assert copy_groups(given(x)).tolist() == [0, 1, 0, 3, 4, 5]
    assert copy_groups(given(np.zeros((3, 1, 4, 4), np.float32))).tolist() == [0, 0, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_numbers_are_near_nothing(dtype: type) -> None:
    x = np.random.default_rng(0).normal(size=(6, 1, 4, 4)).astype(dtype) * (np.finfo(dtype).max / 8)
    x[2] = x[0]
    assert copy_groups(given(x)).tolist() == [0, 1, 0, 3, 4, 5]


def test_thousands_take_moments() -> None:
    """One leader's copies are looked at together, not pair by pair."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 1, 8, 8)).astype(np.float32)
    many = np.repeat(x, 400, axis=0) + (1e-3 * rng.normal(size=(8000, 1, 8, 8))).astype(np.float32)
    assert copies_among(given(many)) == 8000 - 20


def test_copies_are_on_one_side_and_judge_once() -> None:
    """As `each_row_three_times.npz`."""
    rng = np.random.default_rng(0)
    x, y = np.repeat(rng.normal(size=(200, 20)), 3, axis=0), np.repeat(np.arange(200) % 6, 3)
    choosing, judging = split(given(x, y), 0)
    assert choosing.y is not None
    assert judging.y is not None
    assert not {row.tobytes() for row in choosing.feeds["x"]} & {row.tobytes() for row in judging.feeds["x"]}
    assert len(np.unique(judging.feeds["x"], axis=0)) == len(judging)
    assert np.bincount(judging.y).tolist() == [11] * 6  # a third of 34 or 33, each once
    assert len(choosing) == 600 - 3 * len(judging)


def test_copies_of_several_classes_are_on_one_side_too() -> None:
    x = np.tile(np.arange(12), 2)[:, None]
    choosing, judging = split(given(x, np.repeat([0, 1], 12)), 3)
    assert not set(choosing.feeds["x"].ravel()) & set(judging.feeds["x"].ravel())
    assert len(judging) == 8
    assert one_of_each(given(x, np.repeat([0, 1], 12)), copy_groups(given(x))).all()


def test_run_and_audit_say_how_many_there_were() -> None:
    arrays: dict[str, Any] = probes(6)
    twice = {name: np.concatenate([value, value]) for name, value in arrays.items()}
    result = unlearn(MLP, 3, twice, method="mask")
    assert result.report["judged"] == {"samples": 20, "copies": 60, "labels": "given"}
    assert (result.report["probes"]["choosing"], result.report["probes"]["judging"]) == (80, 20)
    found = examine(MLP, MLP, 3, twice, by_layer=False)
    assert (found.samples, found.copies) == (60, 60)
    assert found.accuracies == examine(MLP, MLP, 3, arrays, by_layer=False).accuracies


def test_a_class_of_copies_cannot_be_judged() -> None:
    arrays = probes(4)
    threes = arrays["y"] == 3
    arrays["x"][threes] = arrays["x"][threes][0]
    with pytest.raises(InputError, match="the 4 probes of class 3 hold too many copies; at least 2"):
        unlearn(MLP, 3, arrays)
