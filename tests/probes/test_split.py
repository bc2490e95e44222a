import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxunlearn.errors import InputError
from onnxunlearn.probes import Probes, split

SEEDS = st.integers(0, 2**32)
LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=60)


def numbered(labels: list[int]) -> Probes:
    """Probes whose only feature is their number."""
    return Probes({"x": np.arange(len(labels))}, np.array(labels), "test")


@given(LABELS, SEEDS)
def test_is_a_partition(labels: list[int], seed: int) -> None:
    choosing, judging = split(numbered(labels), seed)
    together = np.concatenate([choosing.feeds["x"], judging.feeds["x"]])
    assert sorted(together) == list(range(len(labels)))
    for half in (choosing, judging):
        assert half.y is not None
        np.testing.assert_array_equal(half.y, np.array(labels)[half.feeds["x"]])
        assert list(half.feeds["x"]) == sorted(half.feeds["x"])


@given(LABELS, SEEDS)
def test_is_stratified_and_a_lone_sample_chooses(labels: list[int], seed: int) -> None:
    choosing, judging = split(numbered(labels), seed)
    for label in set(labels):
        count = labels.count(label)
        judges = 0 if count == 1 else max(1, count // 3)
        assert np.count_nonzero(judging.y == label) == judges
        assert np.count_nonzero(choosing.y == label) == count - judges


def test_of_many_classes_with_one_sample_each_a_third_judges() -> None:
    labels = [0] * 9 + list(range(1, 61))
    choosing, judging = split(numbered(labels), 0)
    assert choosing.y is not None
    assert judging.y is not None
    assert [np.count_nonzero(half.y == 0) for half in (choosing, judging)] == [6, 3]
    assert np.count_nonzero(judging.y != 0) == 20
    assert not set(judging.y[judging.y != 0]) & set(choosing.y)
    few = split(numbered(list(range(29))), 0)[1]
    assert not len(few)


@given(LABELS, SEEDS)
def test_is_deterministic(labels: list[int], seed: int) -> None:
    first, second = split(numbered(labels), seed), split(numbered(labels), seed)
    np.testing.assert_array_equal(first[0].feeds["x"], second[0].feeds["x"])


def test_depends_on_the_seed() -> None:
    halves = {tuple(split(numbered([0] * 20), seed)[0].feeds["x"]) for seed in range(5)}
    assert len(halves) > 1


@given(st.lists(st.integers(1, 5), max_size=20), SEEDS)
def test_a_class_is_split_alike_whatever_the_others_are(others: list[int], seed: int) -> None:
    alone = split(numbered([0] * 9), seed)[0]
    beside = split(numbered([0] * 9 + others), seed)[0]
    np.testing.assert_array_equal(alone.feeds["x"], beside.feeds["x"][beside.y == 0])


def test_needs_classes() -> None:
    with pytest.raises(InputError, match=r"test: has no y"):
        split(Probes({"x": np.zeros(2)}, None, "test"), 0)
