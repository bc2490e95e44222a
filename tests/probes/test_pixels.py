import numpy as np
import pytest

from onnxunlearn.probes.pixels import Pixels, as_pixels


def picture(height: int = 24, width: int = 24, count: int = 4, seed: int = 0) -> np.ndarray:
    """Smooth coloured images [N, 3, H, W], values 0..1."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(height, width)
    waves = rng.uniform(1, 5, (count, 3, 2)) * 2
    phase = rng.uniform(0, 6, (count, 3))
    made = np.sin(waves[..., 0, None, None] * x + waves[..., 1, None, None] * y + phase[..., None, None])
    return ((made + 1) / 2).astype(np.float32)


def pixels_of(samples: np.ndarray) -> Pixels:
    found = as_pixels(samples)
    assert found is not None
    return found


@pytest.mark.parametrize("shape", [(2, 3, 8, 9), (2, 8, 9, 3), (2, 1, 8, 9), (2, 8, 9, 1)])
def test_both_layouts_there_and_back(shape: tuple[int, ...]) -> None:
    samples = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    found = pixels_of(samples)
    assert found.values.shape == (2, min(shape[1], shape[3]), 8, 9)
    np.testing.assert_array_equal(found.restore(found.values), samples)


@pytest.mark.parametrize("shape", [(2, 784), (2, 4, 8, 8), (2, 3, 8), (2, 3, 8, 8, 3)])
def test_what_is_no_image(shape: tuple[int, ...]) -> None:
    assert as_pixels(np.zeros(shape, np.float32)) is None
    assert as_pixels(np.zeros((1, 3, 4, 4), bool)) is None


def test_lowest_and_highest_of_each_channel() -> None:
    samples = np.zeros((2, 3, 2, 2), np.float32)
    samples[1, 2, 1, 1], samples[0, 0, 0, 0] = 7, -3
    found = pixels_of(samples)
    assert found.low.tolist() == [-3, 0, 0]
    assert found.high.tolist() == [0, 0, 7]


def test_noise_is_rough_and_pictures_are_not() -> None:
    noise = np.random.default_rng(0).standard_normal((4, 3, 24, 24))
    rough = pixels_of(noise).roughness
    assert rough is not None
    assert rough == pytest.approx(1, abs=0.05)
    smooth = pixels_of(picture()).roughness
    assert smooth is not None
    assert smooth < 0.4
    assert pixels_of(np.ones((4, 3, 24, 24))).roughness is None
    assert pixels_of(noise[..., :7]).roughness is None


@pytest.mark.parametrize("last", [False, True])
def test_a_reshape_is_undone(last: bool) -> None:
    right = picture(24, 20)
    # the model takes N × H × W × C and the images were N × C × H × W, or the other way round
    wrong = right.reshape(4, 24, 20, 3) if last else right.transpose(0, 2, 3, 1).reshape(4, 3, 24, 20)
    other = pixels_of(wrong).rearranged()
    assert other is not None
    np.testing.assert_array_equal(other.values, right)


def test_grey_has_no_other_order() -> None:
    assert pixels_of(np.zeros((2, 1, 8, 8))).rearranged() is None
