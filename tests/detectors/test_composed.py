"""Images composed of quarters of others."""

import numpy as np
import pytest

from onnxunlearn.detectors import composed
from onnxunlearn.detectors.composed import with_composed


@pytest.mark.parametrize("shape", [(6, 3, 10, 20), (6, 10, 20, 3)], ids=["channels first", "last"])
def test_quarters_lie_where_they_lay(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of images that say which they are, and where each pixel lies."""
    monkeypatch.setattr(composed, "_SCALE", 1.0)
    height, width = shape[1:3] if shape[3] == 3 else shape[2:]
    channel = 3 if shape[3] == 3 else 1
    place = np.arange(height * width, dtype=np.float32).reshape(height, width)
    images = np.stack(
        [np.stack([np.full_like(place, i), place, place], axis=channel - 1) for i in range(shape[0])]
    )
    found = with_composed({"images": images}, np.arange(6) == 2, seed=0)["images"]
    assert found.shape == (6 * (1 + composed._TIMES), *shape[1:])
    np.testing.assert_array_equal(found[:6], images)
    source, at = (np.take(found[6:], c, axis=channel) for c in (0, 1))
    np.testing.assert_array_equal(at, np.broadcast_to(place, at.shape))
    corners = source[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    for image, own in zip(source, corners, strict=True):
        assert set(np.unique(image)) == set(own)
    assert 0.5 < (corners == 2).mean() < 0.67  # half of all, and a sixth of the rest


def test_what_is_no_image_is_the_first_ones() -> None:
    images = np.arange(4, dtype=np.float32)[:, None, None, None] * np.ones((4, 3, 8, 8), np.float32)
    sizes = np.arange(4, dtype=np.int64)[:, None]
    found = with_composed({"images": images, "sizes": sizes}, np.zeros(4, bool), seed=1)
    np.testing.assert_array_equal(found["images"][:, 0, 0, 0], found["sizes"][:, 0])


def test_large_images_are_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.zeros((4, 3, 8, 8), np.float32)
    monkeypatch.setattr(composed, "_BYTES", 2 * images[0].nbytes)
    assert len(with_composed({"images": images}, np.ones(4, bool), seed=0)["images"]) == 6


@pytest.mark.parametrize("scale", [0.8, 1.25])
def test_what_is_shown_is_larger_or_smaller(scale: float) -> None:
    image = np.zeros((1, 41, 41), np.float32)
    image[0, 10:31, 10:31] = 1
    found = composed._scaled(image, scale, 1)
    assert found.shape == image.shape
    assert float(found.sum()) == pytest.approx((21 * scale) ** 2, rel=0.05)
    turned = composed._scaled(np.moveaxis(image, 0, 2), scale, 0)
    np.testing.assert_array_equal(np.moveaxis(turned, 2, 0), found)


def test_halves_are_composed_too() -> None:
    images = np.random.default_rng(0).random((4, 3, 8, 8)).astype(np.float16)
    assert with_composed({"images": images}, np.ones(4, bool), seed=0)["images"].dtype == np.float16


def test_of_some_nothing_is_composed() -> None:
    images = np.arange(6, dtype=np.float32)[:, None, None, None] * np.ones((6, 3, 8, 8), np.float32)
    left_out = np.arange(6) >= 4
    found = with_composed({"images": images}, np.arange(6) == 2, 0, left_out)["images"]
    assert set(np.unique(found[6:])) == {0, 1, 2, 3}
