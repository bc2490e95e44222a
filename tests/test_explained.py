"""What speaks for a class that is said at places: relevance of its scores wherever it is said."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxunlearn import InputError, explain, load
from onnxunlearn.engines import create_engine
from onnxunlearn.explained import NOWHERE, Explained
from onnxunlearn.graph import Edited, expose, find_logits
from onnxunlearn.graph.places import find_detection, summed_over_places
from onnxunlearn.inquiry.placing import places_of
from onnxunlearn.lowering import lower
from onnxunlearn.pictures import draw, heatmaps
from onnxunlearn.probes import Labels

from . import tiny_detector
from .graph.places import detectors, heads
from .patterns import MODEL, NAMES, scenes
from .sample_paths import MLP
from .test_places import quantised

BOARD = 4


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return scenes(24, 3)


def test_relevance_lies_where_the_class_is(arrays: dict[str, np.ndarray]) -> None:
    found = np.abs(explain(MODEL, arrays, BOARD)["x"][:, 0])
    there = arrays["y"] == BOARD
    shown = there.reshape(24, -1).any(axis=1)
    assert 4 <= shown.sum() < 24
    inside = (found * there).sum(axis=(1, 2))[shown] / found.sum(axis=(1, 2))[shown]
    assert np.median(inside) > 0.7  # the rest is what layers of 3 × 3 see around it
    assert np.median(there[shown].mean(axis=(1, 2))) < 0.25
    assert found[~shown].sum() < 0.01 * found.sum()


def test_the_sum_of_a_class_is_shared_out(arrays: dict[str, np.ndarray]) -> None:
    """Without biases nothing of it can go anywhere but to the inputs."""
    biases = {t.name: t.dims for t in load(MODEL).graph.initializer if t.name.endswith("bias")}
    assert len(biases) == 4
    edited = Edited.of(load(MODEL), {name: np.zeros(shape, np.float32) for name, shape in biases.items()})
    model = edited.model()
    scores = create_engine().session(model.proto).run({"x": arrays["x"]})["scores"]
    wanted = np.where(scores.argmax(axis=1) == BOARD, scores[:, BOARD], 0).sum(axis=(1, 2))
    found = explain(model, {"x": arrays["x"]}, BOARD, composite="epsilon(epsilon=1e-9)")["x"]
    assert np.abs(wanted).max() > 1
    np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), wanted, rtol=1e-2, atol=0.05)


@pytest.mark.parametrize("end", [heads.plain, heads.decided, heads.channels_last, heads.enlarged])
def test_other_ends(end: heads.MakeEnd) -> None:
    model = heads.segmenter(end)
    (given,) = model.graph.input
    shape = [d.dim_value or 6 for d in given.type.tensor_type.shape.dim]
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    (found,) = explain(model.SerializeToString(), {given.name: x}, 1).values()
    assert found.shape == x.shape
    assert np.abs(found).sum() > 0


@pytest.mark.parametrize("opset", [7, 8])
def test_the_oldest_opsets_are_explained_as_they_are_edited(opset: int) -> None:
    """Of Where and Equal of floats they have none: in memory they are written in a newer one."""
    x = np.random.default_rng(0).normal(size=(2, 1, 8, 8)).astype(np.float32)
    old, new = (heads.segmenter(heads.plain, o).SerializeToString() for o in (opset, 17))
    np.testing.assert_allclose(explain(old, {"x": x}, 1)["x"], explain(new, {"x": x}, 1)["x"], atol=1e-5)


@pytest.mark.parametrize("opset", [9, 12, 17])
@pytest.mark.parametrize("end", [heads.plain, heads.sigmoid])
def test_what_is_summed(end: heads.MakeEnd, opset: int) -> None:
    """Where each class decides for itself, a place at which none is above one half counts for none."""
    model = heads.segmenter(end, opset)
    (bias,) = (tensor for tensor in model.graph.initializer if tensor.name == "b")
    lowered = onnx.numpy_helper.to_array(bias) - np.float32(1.5)
    bias.CopyFrom(onnx.numpy_helper.from_array(lowered, "b"))
    seen = lower(load(model.SerializeToString()))
    found = places_of(seen)
    assert found is not None
    (given,) = model.graph.input
    shape = [d.dim_value or 6 for d in given.type.tensor_type.shape.dim]
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    (tensor,) = found.scores
    scores = create_engine().session(expose(seen, [tensor])).run({given.name: x})[tensor]
    said = scores.argmax(axis=1)[:, None] == np.arange(found.classes)[:, None, None]
    if found.independent:
        assert (said & (scores < 0)).any()
        said &= scores > 0
    (summed,) = create_engine().session(summed_over_places(seen, found).proto).run({given.name: x}).values()
    np.testing.assert_allclose(summed, (scores * said).sum(axis=(2, 3)), rtol=1e-4, atol=1e-4)


def test_integers(arrays: dict[str, np.ndarray]) -> None:
    """Of an int8 copy the same places speak for the class."""
    given = {"x": arrays["x"][:8]}
    exact, rounded = (explain(model, given, BOARD)["x"] for model in (MODEL, quantised()))
    assert np.corrcoef(exact.ravel(), rounded.ravel())[0, 1] > 0.95


def test_what_a_model_says_of_an_input() -> None:
    scores = np.array([[3.0, 0, -1], [2, 5, 0]])
    classes = Explained.of(load(MLP))
    assert classes.places is None
    assert classes.predicted(scores, 2).tolist() == [0, 1]
    places = Explained.of(load(MODEL))
    assert places.output == "scores"
    assert places.predicted(scores, 2).tolist() == [2, NOWHERE]
    assert places.predicted(scores, np.array([1, 1])).tolist() == [NOWHERE, 1]


def test_pictures_before_and_after(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    drawing = draw(MODEL, arrays, tmp_path / "pictures", "board", compare=MODEL, labels=NAMES, samples=2)
    assert [file.name for file in drawing.files] == ["class_4.png", "layers.png", "index.html"]
    page = (tmp_path / "pictures" / "index.html").read_text()
    assert "of output scores, each class&#39;s summed over the places where it is said" in page
    found = heatmaps(load(MODEL), load(MODEL), arrays, (BOARD,), Labels(5, NAMES))
    assert found.why_not == ""
    assert len(found.samples) == 4
    assert all("original: board, score" in sample.said for sample in found.samples)


@pytest.mark.parametrize("target", ["label", "predicted"])
def test_inputs_have_no_class_of_their_own(target: str, arrays: dict[str, np.ndarray]) -> None:
    with pytest.raises(InputError, match=f"target '{target}': the model gives a class to each place"):
        explain(MODEL, arrays, target)


def test_of_a_detector_relevance_lies_in_boxes_of_the_class() -> None:
    images, boxes, classes = tiny_detector.squares(20, 5)
    given = {"images": tiny_detector.as_inputs(images)}
    (found,) = explain(tiny_detector.trained(), given, "green", labels=tiny_detector.NAMES).values()
    relevance = np.abs(found).sum(axis=1)
    inside = np.zeros(relevance.shape, bool)
    for image, own, labels in zip(inside, boxes, classes, strict=True):
        for left, top, right, bottom in own[labels == 1].astype(int):
            image[max(top - 3, 0) : bottom + 3, max(left - 3, 0) : right + 3] = True
    shown = inside.any(axis=(1, 2))
    assert 5 < shown.sum() < 15
    shares = (relevance * inside).sum(axis=(1, 2))[shown] / relevance.sum(axis=(1, 2))[shown]
    assert shares.min() > 0.8
    assert relevance[~shown].sum() < 0.01 * relevance.sum()


@pytest.mark.parametrize("family", detectors.FAMILIES)
def test_what_is_summed_of_a_detector(family: str) -> None:
    """At all heads and anchors, of things alone."""
    model = load(detectors.FAMILIES[family]().SerializeToString())
    seen = lower(model)
    detection = find_detection(seen, (detectors.C,))
    assert detection is not None
    found, least = detection.places, -0.5
    (given,) = seen.inputs
    x = {given.name: np.random.default_rng(0).normal(size=(2, 3, detectors.SIZE, detectors.SIZE))}
    x = {name: value.astype(np.float32) for name, value in x.items()}
    tensors = list(dict.fromkeys([*found.scores, *(part.tensor for part in found.objectness)]))
    said = create_engine().session(expose(seen, tensors)).run(x)
    last = {name: np.moveaxis(value, found.class_axis, -1) for name, value in said.items()}
    wanted = np.zeros((2, found.classes))
    for head, tensor in enumerate(found.scores):
        for way, columns in enumerate(found.ways(head)):
            scores = last[tensor][..., list(columns or range(found.classes))].reshape(2, -1, found.classes)
            here = scores.argmax(axis=2)[..., None] == np.arange(found.classes)
            if found.independent:
                here &= scores > least
            if len(found.objectness) == len(found.scores):
                part = found.objectness[head]
                own = last[part.tensor][..., (part.columns or (0,))[way]].reshape(2, -1, 1)
                here &= own > least
            wanted += (scores * here).sum(axis=1)
    summed = summed_over_places(seen, found, least)
    (result,) = create_engine().session(summed.proto).run(x).values()
    np.testing.assert_allclose(result, wanted[:, list(found.objects)], rtol=1e-4, atol=1e-3)
    assert find_logits(summed).classes == len(found.objects)


def test_the_page_of_a_detector_has_pictures(tmp_path: Path) -> None:
    """Whose report counts a column for nothing."""
    folder = tiny_detector.write(tmp_path / "data", 8, 1)
    model = load(tiny_detector.trained())
    with_ground = Labels(4, (*tiny_detector.NAMES, "background"))
    found = heatmaps(model, model, folder, (1,), with_ground)
    assert found.why_not == ""
    assert len(found.samples) > 1
    assert all("original: green, score" in sample.said for sample in found.samples)


def test_classes_of_a_report_as_they_are_explained() -> None:
    ssd = Explained.of(load(detectors.ssd().SerializeToString()))
    assert ssd.logits.classes == detectors.C
    names = tuple("abcdefghijkl"[: detectors.C])
    column, labels = ssd.as_objects(2, Labels(detectors.C + 1, ("background", *names)))
    assert (column, labels.names) == (1, names)
    assert Explained.of(load(MODEL)).as_objects(2, Labels(5, NAMES)) == (2, Labels(5, NAMES))


def test_a_model_of_neither_kind() -> None:
    with pytest.raises(InputError, match="--head FILE"):
        Explained.of(load(heads.segmenter(heads.wrong_axis).SerializeToString()))
