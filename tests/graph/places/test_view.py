"""The view says at a place what the model says there; its head reads the features of that place alone."""

from collections.abc import Mapping

import numpy as np
import onnx
import pytest

from onnxunlearn.engines import create_engine
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Model, class_rows, expose, find_head
from onnxunlearn.graph.places import PLACE, PlaceView, at_places, find_places
from onnxunlearn.lowering import renew
from onnxunlearn.numerics import softmax

from ..models import loaded
from . import heads

X = np.random.default_rng(5).normal(0, 1, (3, 1, 8, 8)).astype(np.float32)
PLACES = np.array([[2, 5], [3, 3], [5, 2]])


def viewed(model: Model) -> PlaceView:
    found = find_places(model)
    assert found is not None
    return at_places(renew(model), found)


def run(
    model: Model, feeds: Mapping[str, np.ndarray], tensor: str, engine: str = "onnxruntime"
) -> np.ndarray:
    session = create_engine(engine).session(expose(model, [tensor]), model.folder)
    return session.run(feeds, [tensor])[tensor]


@pytest.mark.parametrize("engine", ["onnxruntime", "numpy", "torch"])
@pytest.mark.parametrize(
    ("end", "opset"),
    [
        (heads.plain, 9),
        (heads.plain, 10),
        (heads.plain, 17),
        (heads.enlarged, 17),
        (heads.enlarged_by_convolution, 9),
        (heads.enlarged_by_convolution, 17),
        (heads.decided, 17),
        (heads.channels_last, 17),
    ],
)
def test_it_says_what_the_model_says_there(end: heads.MakeEnd, opset: int, engine: str) -> None:
    model = loaded(heads.segmenter(end, opset))
    view = viewed(model)
    assert view.margin == (2, 2)
    whole = run(model, {"x": X}, view.grid)
    wanted = whole[np.arange(3), :, PLACES[:, 0], PLACES[:, 1]]
    if end is heads.channels_last:
        wanted = softmax(wanted.astype(np.float64))
    said = run(view.model, {"x": X, PLACE: PLACES}, view.logits.output, engine)
    np.testing.assert_allclose(said, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("engine", ["onnxruntime", "numpy"])
def test_a_model_of_an_old_opset_is_written_anew_first(engine: str) -> None:
    model = loaded(heads.segmenter(heads.upsampled, opset=9))
    wanted = run(model, {"x": X}, "s")[np.arange(3), :, PLACES[:, 0], PLACES[:, 1]]
    view = viewed(model)
    said = run(view.model, {"x": X, PLACE: PLACES}, view.logits.output, engine)
    np.testing.assert_allclose(said, wanted, rtol=1e-5, atol=1e-5)


def test_features_are_those_of_the_place() -> None:
    model = loaded(heads.segmenter(heads.plain))
    view = viewed(model)
    head = find_head(view.model, view.logits)
    features = run(view.model, {"x": X, PLACE: PLACES}, head.input)
    whole = run(model, {"x": X}, "h")
    assert features.shape == (3, heads.WIDTH, 1, 1)
    wanted = whole[np.arange(3), :, PLACES[:, 0], PLACES[:, 1]]
    np.testing.assert_allclose(features[:, :, 0, 0], wanted, rtol=1e-5, atol=1e-5)
    assert class_rows(view.model, view.logits).plain


def test_weights_and_names_stay() -> None:
    model = loaded(heads.segmenter(heads.enlarged))
    view = viewed(model)
    assert {"w", "b", "w2"} <= view.model.initializers.keys()
    assert {"head", "second", "first"} <= {node.name for node in view.model.nodes}
    assert view.model.origin is model


@pytest.mark.parametrize("engine", ["onnxruntime", "numpy", "torch"])
@pytest.mark.parametrize(("mode", "reach"), [("linear", 0), ("nearest", 0), ("linear", 1)])
def test_what_is_the_same_at_each_place_is_no_map(mode: str, reach: int, engine: str) -> None:
    """A mean of the whole image, enlarged to a map, was made for each sample of each step."""
    model = loaded(heads.segmenter(lambda: heads.with_the_whole(mode, reach)))
    view = viewed(model)
    wanted = run(model, {"x": X}, view.grid)[np.arange(3), :, PLACES[:, 0], PLACES[:, 1]]
    said = run(view.model, {"x": X, PLACE: PLACES}, view.logits.tensor, engine)
    np.testing.assert_allclose(said, wanted, rtol=1e-5, atol=1e-5)
    assert all(node.kind != "Resize" for node in view.model.nodes)


def test_a_tile_is_a_place_with_the_mean_of_its_scores() -> None:
    model = loaded(heads.segmenter(heads.tiles))
    view = viewed(model)
    whole = run(model, {"x": X}, "y").reshape(3, heads.CLASSES, 8, 2, 8, 2).mean((3, 5))
    said = run(view.model, {"x": X, PLACE: PLACES}, view.logits.output)
    wanted = whole[np.arange(3), :, PLACES[:, 0], PLACES[:, 1]]
    np.testing.assert_allclose(said, wanted, rtol=1e-5, atol=1e-5)


def test_a_token_is_a_place() -> None:
    model = loaded(heads.tagger())
    view = viewed(model)
    x, places = np.random.default_rng(0).integers(0, 9, (4, 6)), np.array([[0], [5], [2], [2]])
    whole = run(model, {"x": x}, "y")
    said = run(view.model, {"x": x, PLACE: places}, view.logits.output)
    assert view.margin == (0,)
    np.testing.assert_allclose(said, whole[np.arange(4), places[:, 0]], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("opset", [9, 10, 11, 13, 17])
def test_a_place_of_a_line_is_a_place(opset: int) -> None:
    """With all its layers but the first, which strides: none of them runs over the whole line."""
    model = loaded(heads.line_reader(opset))
    view = viewed(model)
    assert view.margin == (2,)
    x = np.random.default_rng(5).normal(0, 1, (3, 1, 8, 20)).astype(np.float32)
    places = np.array([[2], [5], [7]])
    wanted = run(model, {"x": x}, "y")[np.arange(3), places[:, 0]]
    for engine in ("onnxruntime", "numpy", "torch"):
        said = run(view.model, {"x": x, PLACE: places}, view.logits.output, engine)
        np.testing.assert_allclose(said, wanted, rtol=1e-4, atol=1e-5)
    (second,) = (node for node in view.model.nodes if node.name == "second")
    session = create_engine("onnxruntime").session(expose(view.model, [second.outputs[0]]), None)
    made = session.run({"x": x, PLACE: places}, [second.outputs[0]])[second.outputs[0]]
    assert made.shape == (3, heads.WIDTH, 1, 3)


def test_tiles_that_overlap_and_old_opsets_are_named() -> None:
    with pytest.raises(UnsupportedError, match=r"head.*places that overlap \(kernel \[4, 4\]"):
        viewed(loaded(heads.segmenter(heads.overlapping_tiles)))
    with pytest.raises(UnsupportedError, match="opset 6: class scores at places need 11 or newer"):
        viewed(loaded(heads.segmenter(heads.plain, opset=6)))


def test_what_sees_too_far_is_left_whole() -> None:
    proto = heads.segmenter(heads.plain)
    for node in proto.graph.node:
        if node.name == "second":  # sees five places to each side
            del node.attribute[:]
            node.attribute.extend(_dilated())
    model = loaded(proto)
    view = viewed(model)
    assert view.margin == (0, 0)
    said = run(view.model, {"x": X, PLACE: PLACES}, view.logits.output)
    whole = run(model, {"x": X}, "y")
    np.testing.assert_allclose(said, whole[np.arange(3), :, PLACES[:, 0], PLACES[:, 1]], rtol=1e-5, atol=1e-5)


def _dilated() -> list[onnx.AttributeProto]:
    return [
        onnx.helper.make_attribute("kernel_shape", [3, 3]),
        onnx.helper.make_attribute("dilations", [5, 5]),
        onnx.helper.make_attribute("pads", [5, 5, 5, 5]),
    ]
