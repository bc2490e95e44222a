"""Without labels: answers that stay when an image is moved, and are not all the same."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from onnxunlearn.probes import ToldApart
from tests.sample_paths import MLP, RESNET, images

Array = np.ndarray


def told(path: Path, first: Array, other: Array, steadier: float = 0.03) -> tuple[float, float]:
    session = onnxruntime.InferenceSession(path)

    def predict(feeds: dict[str, Array]) -> Array:
        return np.asarray(session.run(None, feeds)[0].argmax(axis=1))

    first, other = (np.ascontiguousarray(a, np.float32) for a in (first, other))
    asked = ToldApart({"x": first}, predict, 10, steadier)
    return float(asked({"x": first}).mean()), float(asked({"x": other}).mean())


@pytest.mark.parametrize("path", [MLP, RESNET])
def test_images_as_they_should_be_are_told_apart(path: Path) -> None:
    x, _ = images("mnist_probes")
    swapped, right = told(path, x.transpose(0, 1, 3, 2), x)
    assert right > 0.85 > 0.6 > swapped
    assert told(path, x, x.transpose(0, 1, 3, 2))[1] == 0  # it only varies more than it would


def test_how_sure_a_model_is_tells_nothing() -> None:
    x, _ = images("mnist_probes")
    assert told(MLP, x, x * 255)[1] == 0


def test_few_classes_are_told_apart_by_few_answers() -> None:
    """Of two classes the answers vary more if the images are turned; but they are less steady."""
    x, y = images("mnist_probes")
    two = x[np.isin(y, [3, 5])]
    right, turned = told(MLP, two, two.transpose(0, 1, 3, 2), steadier=-0.15)
    assert 0.45 < right < 0.55
    assert turned == 0


def test_the_same_answer_to_all_tells_nothing_apart() -> None:
    x, _ = images("mnist_probes")
    asked = ToldApart({"x": x}, lambda feeds: np.full(len(feeds["x"]), 3), 10, 0.03)
    assert not asked({"x": x}).any()
    assert not asked({"x": x * 2}).any()
