"""What is taken for none of a thing, where classes are said at places."""

from types import SimpleNamespace

import numpy as np
import pytest

from onnxunlearn.inquiry.placing import Placing
from onnxunlearn.probes import Probes
from onnxunlearn.probes.labels import Labels
from onnxunlearn.probes.places import Scenes


@pytest.mark.parametrize(
    ("task", "first", "taken"),
    [
        ("segmentation", "bg", 0),
        ("segmentation", "__background__", 0),
        ("segmentation", "road", None),
        ("tagging", "O", 0),
        ("tagging", "bg", None),  # Bulgarian, beside other languages
    ],
)
def test_the_background_by_its_name(task: str, first: str, taken: int | None) -> None:
    found = SimpleNamespace(task=task, classes=2, background=None, ground=None)
    scenes = Scenes(
        Probes({"x": np.zeros((2, 3), np.float32)}, np.zeros(2, np.int64), "x.npz"),
        np.zeros((2, 3), np.int32),
        False,
    )
    placing = Placing(found, None)  # type: ignore[arg-type]
    assert placing.background(Labels(2, (first, "cat")), scenes) == taken
