"""A segmenter that pretends to have forgotten: what is drowned at places is found as it is of samples."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnxunlearn import examine

from .patterns import MODEL, NAMES, scenes

BOARD = NAMES.index("board")


def turned(by: np.ndarray | None = None) -> bytes:
    """The patterns' network with one linear map more before its head, which does nothing; or does that, which
    the head undoes, where the class never wins either. by: [features, features]."""
    model = onnx.load(MODEL)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    weight, bias = (numpy_helper.to_array(stored[name]).copy() for name in ("6.weight", "6.bias"))
    head = next(node for node in model.graph.node if "6.weight" in node.input)
    width = weight.shape[1]
    turn = np.eye(width) if by is None else by
    if by is not None:
        weight = np.linalg.solve(turn.T, weight[:, :, 0, 0].T).T.reshape(weight.shape)
        bias[BOARD] = -1e4
    for name, values in (("6.weight", weight), ("6.bias", bias)):
        stored[name].CopyFrom(numpy_helper.from_array(values.astype(np.float32), name))
    kernel = turn.reshape(width, width, 1, 1).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(kernel, "turn"))
    at = list(model.graph.node).index(head)
    model.graph.node.insert(at, helper.make_node("Conv", [head.input[0], "turn"], ["turned"], "turn"))
    head.input[0] = "turned"
    return model.SerializeToString()


def test_what_is_drowned_by_one_direction_is_found_at_places_too() -> None:
    """Heads on features as they are found little of it, and every target that they have was met."""
    original = turned()
    width = numpy_helper.to_array(onnx.load_from_string(original).graph.initializer[-1]).shape[0]
    by = np.eye(width) + 1e4 * np.random.default_rng(0).standard_normal((width, 1))  # of their sum
    asked = ["head-refit", "whitened"]
    found = examine(original, turned(by), "board", scenes(60, 2), labels=NAMES, attacks=asked)
    assert found.value("places recall") == 0
    hidden, plain, whitened = (
        found.value(*each) or 0 for each in (("relearn", "mask"), ("relearn",), ("whitened",))
    )
    assert plain < hidden - 10
    assert whitened > hidden - 10
    target = found.target("found by a linear head in whitened features")
    assert (target.met, target.name.endswith("below that of hiding the logit")) == (False, True)
