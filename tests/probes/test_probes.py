import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxunlearn.probes import Probes

from .tiny_models import samples


def probes(count: int, labelled: bool = True) -> Probes:
    y = np.arange(count) % 3 if labelled else None
    return Probes({"a": samples(count, 2), "b": samples(count, 1, 2)}, y, "test")


def test_length_is_the_number_of_samples() -> None:
    assert len(probes(5)) == 5


@given(st.lists(st.integers(0, 6)))
def test_select_by_index_keeps_inputs_and_classes_together(indices: list[int]) -> None:
    whole = probes(7)
    part = whole.select(indices)
    assert len(part) == len(indices)
    assert part.y is not None
    assert whole.y is not None
    for position, index in enumerate(indices):
        assert part.y[position] == whole.y[index]
        for name in ("a", "b"):
            np.testing.assert_array_equal(part.feeds[name][position], whole.feeds[name][index])


@given(st.lists(st.booleans(), min_size=1))
def test_select_by_mask_is_select_by_its_indices(mask: list[bool]) -> None:
    whole = probes(len(mask))
    by_mask, by_index = whole.select(mask), whole.select(np.flatnonzero(mask))
    np.testing.assert_array_equal(by_mask.feeds["a"], by_index.feeds["a"])
    np.testing.assert_array_equal(by_mask.y, by_index.y)


def test_select_without_classes() -> None:
    assert probes(3, labelled=False).select([0]).y is None


def test_select_refuses_what_does_not_fit() -> None:
    with pytest.raises(IndexError):
        probes(3).select([3])
    with pytest.raises(IndexError):
        probes(3).select([True])
