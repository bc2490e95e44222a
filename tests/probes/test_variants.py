import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxunlearn.probes.variants import is_image, is_sequence, moved, spatial_axes, spliced


@pytest.mark.parametrize(
    ("shape", "image"),
    [((5, 3, 28, 28), True), ((5, 28, 28, 1), True), ((5, 64, 7, 7), False), ((5, 28), False)],
)
def test_what_counts_as_an_image(shape: tuple[int, ...], image: bool) -> None:
    assert is_image(np.zeros(shape, np.float32)) is image
    assert not is_image(np.zeros(shape, np.int64))


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("channels_last", [False, True])
def test_each_image_is_moved_as_a_whole(channels_last: bool, wide: bool) -> None:
    rng = np.random.default_rng(0)
    height, width = (14, 28) if wide else (28, 14)
    images = np.zeros((40, 2, height, width), np.float32)
    images[:, 0, height // 2, width // 2], images[:, 1, height // 2, width // 2] = 1, 2
    given = images.transpose(0, 2, 3, 1).copy() if channels_last else images
    result = moved(given, rng)
    assert result.shape == given.shape
    back = result.transpose(0, 3, 1, 2) if channels_last else result
    steps = set()
    for image in back:
        ((row, column),) = np.argwhere(image[0] == 1)
        assert image[1, row, column] == 2  # channels move together
        steps.add((row - height // 2, column - width // 2))
    rows, columns = zip(*steps, strict=True)
    furthest = (-1, 1, -2, 2) if wide else (-2, 2, -1, 1)
    assert (min(rows), max(rows), min(columns), max(columns)) == furthest


@pytest.mark.parametrize("shape", [(3, 20, 30), (3, 30, 20)])
def test_the_axes_of_space(shape: tuple[int, int, int]) -> None:
    first = np.zeros((5, *shape), np.float32)
    assert spatial_axes(first) == (2, 3)
    assert spatial_axes(first.transpose(0, 2, 3, 1)) == (1, 2)


def test_the_border_is_repeated() -> None:
    rng = np.random.default_rng(0)
    assert (moved(np.ones((20, 1, 28, 28), np.float32), rng) == 1).all()


def test_what_counts_as_a_token_sequence() -> None:
    assert is_sequence(np.zeros((5, 12), np.int32))
    assert not is_sequence(np.zeros((5, 1), np.int64))  # nowhere to cut
    assert not is_sequence(np.zeros((5, 12), np.float32))
    assert not is_sequence(np.zeros((5, 12, 2), np.int64))


@given(st.integers(0, 2**32 - 1), st.integers(3, 12), st.integers(1, 8))
def test_a_spliced_sequence_is_the_beginning_of_one_and_the_end_of_another_of_its_class(
    seed: int, places: int, count: int
) -> None:
    rng = np.random.default_rng(seed)
    ids, y = rng.integers(9, size=(count, places)), rng.integers(2, size=count)
    result = spliced({"ids": ids}, y, rng)["ids"]
    assert result.dtype == ids.dtype
    for new, own, label in zip(result, ids, y, strict=True):
        ends = list(ids[y == label])
        assert any(
            (new == np.concatenate([own[:cut], other[cut:]])).all()
            for other in ends
            for cut in range(1, places + 1)
        )


@given(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from([np.int64, np.float32, np.bool_]))
def test_marks_padding_and_mask_go_on_fitting_together(seed: int, left: bool, kind: type) -> None:
    rng = np.random.default_rng(seed)
    ids = np.zeros((20, 12), np.int64)
    mask: np.ndarray = ids.astype(kind)
    for row, flags, size in zip(ids, mask, rng.integers(2, 13, 20), strict=True):
        place = slice(12 - size, None) if left else slice(size)
        row[place] = np.concatenate([[101], rng.integers(1, 9, size - 2), [102]])
        flags[place] = 1
    y = rng.integers(3, size=20)
    result = spliced({"mask": mask, "ids": ids, "other": y}, y, rng)
    assert result["mask"].dtype == kind
    np.testing.assert_array_equal(result["other"], y)
    for row, flags in zip(result["ids"], result["mask"], strict=True):
        text = row[flags.astype(bool)]
        assert (text != 0).all()
        assert (row[~flags.astype(bool)] == 0).all()
        assert (text == 101).nonzero()[0].tolist() == [0]
        assert (text == 102).nonzero()[0].tolist() == [len(text) - 1]
        assert np.ptp(flags.astype(bool).nonzero()[0]) == len(text) - 1  # no hole


def test_sequences_are_spliced_anew_each_time_and_never_across_classes() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 10)
    ids = np.arange(20)[:, None] * 100 + np.arange(16)  # tells sample and place
    first, second = (spliced({"ids": ids}, y, rng)["ids"] for _ in range(2))
    assert (first != ids).any(axis=1).sum() > 10
    assert (first != second).any()
    for result in (first, second):
        assert (result % 100 == np.arange(16)).all()
        assert (result // 100 // 10 == y[:, None]).all()
