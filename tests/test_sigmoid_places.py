"""A segmenter in which each class decides for itself forgets one; what no class says is nothing."""

import jsonschema
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from onnxunlearn import Result, examine, explain, unlearn
from onnxunlearn.errors import InputError
from onnxunlearn.inspection import inspect
from onnxunlearn.judge import schema
from onnxunlearn.probes.places.scenes import NOTHING_SAID, one_of_several

from .patterns import MODEL, NAMES, scenes

THINGS = NAMES[1:]
BOARD = THINGS.index("board")


def segmenter(*, normalised: bool = True, only: int | None = None) -> bytes:
    """The patterns' network, whose classes are said against the background alone: 4 of them, or one."""
    model = onnx.load(MODEL)
    for tensor in model.graph.initializer:
        if tensor.name in ("6.weight", "6.bias"):
            rows = numpy_helper.to_array(tensor)
            rows = rows[1:] - rows[:1]
            rows = rows if only is None else rows[only : only + 1]
            tensor.CopyFrom(numpy_helper.from_array(rows, tensor.name))
    output = model.graph.output[0]
    output.type.tensor_type.shape.dim[1].dim_value = len(THINGS) if only is None else 1
    if normalised:
        model.graph.node[-1].output[0] = "z"
        model.graph.node.append(helper.make_node("Sigmoid", ["z"], ["scores"]))
    return model.SerializeToString()


def data(count: int, seed: int) -> dict[str, np.ndarray]:
    """As of the patterns; what is nothing is the last number."""
    found = scenes(count, seed)
    return {**found, "y": np.where(found["y"] == 0, len(THINGS), found["y"] - 1)}


@pytest.fixture(scope="module")
def run() -> Result:
    options = {"method": "erase", "parameters": {"steps": 60}}
    return unlearn(segmenter(), "board", data(70, 1), labels=THINGS, **options)  # type: ignore[arg-type]


def test_the_class_is_found_nowhere_and_the_others_where_they_were(run: Result) -> None:
    edited = run.edited.model()
    audit = examine(segmenter(), edited, "board", data(60, 2), labels=THINGS, by_layer=False)
    for found in (run.findings, audit):
        assert found.task == "segmentation"
        assert (found.value("places recall", "original") or 0) > 85
        assert (found.value("places recall", "mask") or 0) == 0
        assert (found.value("places recall") or 0) <= 1
        assert (found.value("places lost") or 0) < 1.5
        assert (found.value("places background") or 0) > 98
    assert any("each class decides for itself" in note for note in run.findings.notes)
    jsonschema.validate(run.report, schema())
    assert run.report["places"]["background"] == len(THINGS)


def test_maps_of_each_class_say_the_same(run: Result) -> None:
    found = data(70, 1)
    several = np.stack([found["y"] == c for c in range(len(THINGS))], axis=1)
    options = {"method": "erase", "parameters": {"steps": 60}}
    again = unlearn(segmenter(), "board", {"x": found["x"], "y": several}, labels=THINGS, **options)  # type: ignore[arg-type]
    assert again.model_bytes == run.model_bytes


def test_what_is_of_several_classes_is_not_looked_at() -> None:
    maps = np.zeros((1, 3, 2, 2), int)
    maps[0, 1, 0, 0] = maps[0, 0, 1, 1] = maps[0, 2, 1, 1] = 1
    assert one_of_several(maps).tolist() == [[[1, 3], [3, NOTHING_SAID]]]


def test_without_masks_the_model_says_what_is_where() -> None:
    found = unlearn(segmenter(), BOARD, {"x": data(40, 3)["x"]}, method="mask")
    assert found.findings.value("places recall", "original") == 100
    assert found.findings.value("places recall") == 0
    assert found.findings.value("places lost") == pytest.approx(0, abs=1.5)


def test_nothing_is_no_thing_to_forget() -> None:
    with pytest.raises(InputError, match="is the background here"):
        unlearn(segmenter(), len(THINGS), data(20, 1))


def test_what_speaks_for_a_class_is_explained() -> None:
    found = explain(segmenter(), data(4, 5), "board", labels=THINGS)
    assert found["x"].shape == (4, 1, 16, 16)
    assert np.abs(found["x"]).sum() > 0


def test_inspect_says_that_each_decides_for_itself() -> None:
    places = inspect(segmenter()).places or {}
    assert (places["classes"], places["normaliser"]) == (len(THINGS), "Sigmoid")


@pytest.mark.parametrize("normalised", [True, False])
def test_a_binary_mask_has_nothing_to_retain(normalised: bool) -> None:
    model = segmenter(normalised=normalised, only=BOARD)
    for asked in (lambda: unlearn(model, 0, data(10, 1)), lambda: inspect(model)):
        with pytest.raises(InputError, match="there is nothing to retain"):
            asked()
