"""The last layers of a detector, run for windows around places."""

import numpy as np
import pytest

from onnxunlearn.engines import create_engine
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import expose, find_layers, load
from onnxunlearn.graph.places import cut_before, find_detection
from tests.tiny_detector import as_inputs, squares, trained


def test_windows_say_what_the_whole_map_says() -> None:
    model, engine = load(trained()), create_engine("onnxruntime")
    found = find_detection(model)
    assert found is not None
    scores = found.places.scores[0]
    layers = [layer for layer in find_layers(model) if layer.name == "/classes/classes.0/Conv"]
    cut = cut_before(model, layers, scores)
    entered = list(cut.reaches)
    assert cut.margin == 1
    assert len(entered) == 1
    feeds = {"images": as_inputs(squares(3, 1)[0])}
    whole = engine.session(expose(model, [*entered, scores])).run(feeds)
    where = np.array([0, 1, 2, 2]), np.array([9, 22, 30, 54])  # of 8 × 8
    windows = {name: cut.windows(name, whole[name], where) for name in entered}
    said = engine.session(expose(cut.model, [scores])).run(windows)[scores]
    wanted = whole[scores].reshape(3, 3, 64)[where[0], :, where[1]]
    np.testing.assert_allclose(said[..., 0, 0], wanted, atol=1e-5)


def test_layers_further_back_are_refused() -> None:
    model = load(trained())
    first = find_layers(model)[0]
    found = find_detection(model)
    assert found is not None
    with pytest.raises(UnsupportedError, match="do not see a few places around each alone"):
        cut_before(model, [first], found.places.scores[0])
