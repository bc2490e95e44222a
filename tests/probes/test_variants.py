import numpy as np
import pytest

from onnxunlearn.probes.variants import is_image, moved


@pytest.mark.parametrize(
    ("shape", "image"),
    [((5, 3, 28, 28), True), ((5, 28, 28, 1), True), ((5, 64, 7, 7), False), ((5, 28), False)],
)
def test_what_counts_as_an_image(shape: tuple[int, ...], image: bool) -> None:
    assert is_image(np.zeros(shape, np.float32)) is image
    assert not is_image(np.zeros(shape, np.int64))


@pytest.mark.parametrize("channels_last", [False, True])
def test_each_image_is_moved_as_a_whole(channels_last: bool) -> None:
    rng = np.random.default_rng(0)
    images = np.zeros((40, 2, 28, 14), np.float32)
    images[:, 0, 14, 7], images[:, 1, 14, 7] = 1, 2
    given = images.transpose(0, 2, 3, 1).copy() if channels_last else images
    result = moved(given, rng)
    assert result.shape == given.shape
    back = result.transpose(0, 3, 1, 2) if channels_last else result
    steps = set()
    for image in back:
        ((row, column),) = np.argwhere(image[0] == 1)
        assert image[1, row, column] == 2  # channels move together
        steps.add((row - 14, column - 7))
    rows, columns = zip(*steps, strict=True)
    assert (min(rows), max(rows), min(columns), max(columns)) == (-2, 2, -1, 1)


def test_the_border_is_repeated() -> None:
    rng = np.random.default_rng(0)
    assert (moved(np.ones((20, 1, 28, 28), np.float32), rng) == 1).all()
