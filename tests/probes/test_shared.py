import numpy as np
import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.probes import Probes, SharedBy, join, pair_groups, split_mask
from onnxunlearn.probes.probes import OTHER


def given(values: list[float], y: list[int] | None = None, name: str = "given", width: int = 2) -> Probes:
    x = np.array(values, np.float32)[:, None] * np.ones(width, np.float32)
    return Probes({"x": x}, None if y is None else np.array(y), name)


def test_samples_with_it_come_last_and_are_of_their_partners_class() -> None:
    found = join(given([11, 12]), given([1, 2], [5, 6]), given([3], [7]), paired=True)
    assert found.feeds["x"][:, 0].tolist() == [1, 2, 3, 11, 12]
    assert found.shared is not None
    assert found.shared.tolist() == [False] * 3 + [True] * 2
    assert found.y is not None
    assert found.y.tolist() == [5, 6, 7, 5, 6]
    assert found.pair is not None
    assert found.pair.tolist() == [0, 1, OTHER, 0, 1]


def test_without_pairs_a_class_is_known_only_where_it_was_given() -> None:
    found = join(given([11, 12]), None, given([1, 2], [5, 6]), paired=False)
    assert found.y is not None
    assert found.y.tolist() == [5, 6, -1, -1]
    assert found.pair is not None
    assert found.pair.tolist() == [-1] * 4


def test_what_is_on_both_sides_shows_nothing() -> None:
    found = join(given([11, 2]), given([1, 2], [5, 6]), None, paired=True)
    assert found.feeds["x"][:, 0].tolist() == [1, 2, 11]
    assert found.pair is not None
    assert found.pair.tolist() == [0, 1, 0]
    assert len(join(given([2, 11]), given([1, 2]), None, paired=False)) == 3


@pytest.mark.parametrize(
    ("having", "lacking", "paired", "said"),
    [
        (given([1, 2, 3], name="with"), given([4, 5], name="without"), True, "3 samples, without: 2"),
        (given([1, 2]), given([1, 2]), True, "hold the same samples"),
        (given([1, 2]), given([2, 1]), False, "hold the same samples"),
        (given([1, 2]), given([3, 4], width=3), False, r"\[2\] a sample, in given \[3\]"),
    ],
)
def test_what_does_not_fit_is_said(having: Probes, lacking: Probes, paired: bool, said: str) -> None:
    with pytest.raises(InputError, match=said):
        join(having, lacking, None, paired=paired)


def test_pairs_need_something_to_pair_with() -> None:
    with pytest.raises(InputError, match="--like"):
        SharedBy("with.npz", paired=True)


def test_partners_are_on_one_side_of_a_split_and_both_sides_have_both_kinds() -> None:
    count = 30
    found = join(
        given(list(range(100, 100 + count))), given(list(range(count)), [c % 3 for c in range(count)]), None,
        paired=True,
    )  # fmt: skip
    groups = pair_groups(found, np.arange(2 * count))
    assert np.array_equal(groups[:count], groups[count:])
    judging = split_mask(found, 0, groups)
    assert np.array_equal(judging[:count], judging[count:])
    assert 0 < judging.sum() < 2 * count


def test_copies_of_partners_stay_together() -> None:
    found = join(given([11, 12, 13]), given([1, 2, 3], [0, 0, 0]), None, paired=True)
    copies = np.array([0, 0, 2, 3, 4, 5])  # the first two without it are copies
    groups = pair_groups(found, copies)
    assert len({groups[i] for i in (0, 1, 3, 4)}) == 1
    assert groups[2] == groups[5] != groups[0]
