"""Heads of detectors are found by how their graphs are made, family by family."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Model, every_logits, expose, load
from onnxunlearn.graph.places.find import find_detection
from onnxunlearn.lowering import lower
from tests.graph.models import SAMPLES, loaded, run
from tests.graph.places import detectors
from tests.graph.places.detectors import FAMILIES, SIZE, C


@dataclass(frozen=True)
class Found:
    """What is to be found. parts: first column and number of columns of scores, boxes and objectness."""

    heads: tuple[str, ...]
    normaliser: str = "Sigmoid"
    background: int | None = None
    ways: int = 1
    parts: tuple[tuple[int, int] | None, ...] = ((0, C), (0, 4), None)
    decoded: bool = True
    multiplied: bool = False
    labels: tuple[int, ...] = ()


FIVE = ((5, C), (0, 4), (4, 1))
EXPECTED = {
    "yolov5": Found(("m.0", "m.1"), ways=3, parts=FIVE),
    "yolov7, NMS in the graph": Found(("m.0", "m.1"), ways=3, multiplied=True),
    "yolov8": Found(("classes0", "classes1"), parts=((4, C), (0, 4), None)),
    "yolov8, classes last": Found(("classes0", "classes1"), parts=((4, C), (0, 4), None)),
    "one anchor": Found(("out0",), parts=FIVE),
    "yolox": Found(("cls0", "cls1"), parts=FIVE),
    "yolox, not decoded": Found(("cls0", "cls1"), parts=FIVE, decoded=False),
    "ssd": Found(("conf0", "conf1"), "Softmax", 0, 3, ((1, C), (0, 4), None)),
    "ssd, one anchor": Found(("conf0", "conf1"), "Softmax", 0, 1, ((1, C), (0, 4), None)),
    "ssd, anchors of each scale": Found(("conf0", "conf1"), "Softmax", 0, 3, ((1, C), (0, 4), None)),
    "ssd, sizes looked up": Found(("conf0", "conf1"), "Softmax", 0, 3, ((1, C), (0, 4), None)),
    "ssd, background cut off": Found(("conf0", "conf1"), "Softmax", 0, 3),
    "retinanet": Found(("cls0", "cls1"), ways=3, decoded=False),
    "efficientdet": Found(
        ("class_0", "class_1"), ways=3, parts=((0, 3 * C), (0, 12), None), decoded=False, labels=(C,)
    ),
    "fcos": Found(("cls_conv_0", "cls_conv_1"), parts=((0, C), (0, 4), (0, 1)), decoded=False),
    "nanodet": Found(("gfl_cls.0", "gfl_cls.1"), parts=((0, C), (C, 32), None), decoded=False),
    "detr": Found(("logits/MatMul",), "Softmax", C),
    "rt-detr": Found(("class_embed.1/MatMul",)),
    "rt-detr, best chosen": Found(("class_embed.1/MatMul",)),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_heads_boxes_and_objectness_of_every_family(family: str) -> None:
    expected = EXPECTED[family]
    found = find_detection(lower(loaded(FAMILIES[family]())), expected.labels)
    assert found is not None
    places = found.places
    assert places.heads == expected.heads
    assert (places.normaliser, places.background) == (expected.normaliser, expected.background)
    assert places.classes == C + (expected.background is not None)
    assert max(len(places.columns), 1) == expected.ways
    assert (found.decoded, found.multiplied) == (expected.decoded, expected.multiplied)
    for parts, wanted in zip((found.scores, found.boxes, found.objectness), expected.parts, strict=True):
        assert bool(parts) == (wanted is not None)
        for part in parts:
            assert wanted == (part.columns[0], len(part.columns))


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_of_the_heads_are_what_the_outputs_say(family: str) -> None:
    """In any order of places: the numbers in front of the normaliser, normalised, are those behind it."""
    model = lower(loaded(FAMILIES[family]()))
    found = find_detection(model, EXPECTED[family].labels)
    assert found is not None
    said = _numbers(model, [part.tensor for part in found.scores])
    own = [
        np.take(np.moveaxis(v, p.axis, -1), p.columns, axis=-1)
        for v, p in zip(said, found.scores, strict=True)
    ]
    heads = []
    for head, values in enumerate(_numbers(model, list(found.places.scores))):
        last = np.moveaxis(values, found.places.class_axis, -1)
        for way in found.places.ways(head):
            own_columns = list(way or range(found.places.classes))
            heads.append(last[..., own_columns].reshape(-1, found.places.classes))
    scores = np.concatenate(heads).astype(np.float64)
    if found.normalised and found.places.normaliser == "Sigmoid":
        scores = 1 / (1 + np.exp(-scores))
    elif found.normalised:
        scores = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    scores = scores[:, list(found.places.objects)]
    if found.multiplied:  # by what is said of the place, the same for all classes
        flat = np.concatenate([part.reshape(-1, C) for part in own])
        scores, own = scores / scores.sum(1, keepdims=True), [flat / flat.sum(1, keepdims=True)]
    outside = np.concatenate([part.reshape(-1) for part in own])
    np.testing.assert_allclose(np.sort(scores.reshape(-1)), np.sort(outside), rtol=1e-4, atol=1e-5)


def _numbers(model: Model, tensors: list[str]) -> list[np.ndarray]:
    x = np.random.default_rng(1).normal(size=(2, 3, SIZE, SIZE)).astype(np.float32)
    return run(expose(model, list(dict.fromkeys(tensors))), {"x": x}, tensors)


def test_a_number_of_classes_that_only_names_tell() -> None:
    """Nine classes for one anchor or three for each of three: the maps look alike."""
    assert find_detection(lower(loaded(detectors.efficientdet()))) is None


def test_landmarks_are_no_classes() -> None:
    """They are raw numbers, where the one class there is is a chance."""
    model = lower(loaded(detectors.landmarks()))
    assert find_detection(model) is None
    assert every_logits(model) == []  # nor are the places of one number


def test_a_plug_in_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match=r"op TRT::EfficientNMS_TRT.* plug-in") as raised:
        find_detection(lower(loaded(detectors.plug_in())))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["mnist_cnn.onnx", "fashion_mobile.onnx"])
def test_a_classifier_is_no_detector(name: str) -> None:
    assert find_detection(lower(loaded(onnx.load(SAMPLES / name)))) is None


def test_half_precision() -> None:
    """Whatever the file is written in: the lowered model has float ops."""
    proto = detectors.yolov8()
    for each in proto.graph.initializer:
        if each.data_type == onnx.TensorProto.FLOAT:
            values = onnx.numpy_helper.to_array(each).astype(np.float16)
            each.CopyFrom(onnx.numpy_helper.from_array(values, each.name))
    for info in (*proto.graph.input, *proto.graph.output):
        info.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    found = find_detection(lower(loaded(proto)))
    assert found is not None
    assert found.places.heads == ("classes0", "classes1")


@pytest.mark.parametrize("form", [QuantFormat.QDQ, QuantFormat.QOperator])
@pytest.mark.parametrize("family", ["yolov5", "yolov8", "yolox", "ssd"])
def test_integers(family: str, form: QuantFormat, tmp_path: Path) -> None:
    """As ONNX Runtime quantises, in either form."""

    class Images(CalibrationDataReader):  # type: ignore[misc]
        left = 2

        def get_next(self) -> dict[str, np.ndarray] | None:
            self.left -= 1
            if self.left < 0:
                return None
            images = np.random.default_rng(self.left).normal(size=(1, 3, SIZE, SIZE))
            return {"x": images.astype(np.float32)}

    onnx.save(FAMILIES[family](), tmp_path / "float.onnx")
    quantize_static(tmp_path / "float.onnx", tmp_path / "int8.onnx", Images(), quant_format=form)
    found, expected = find_detection(lower(load(tmp_path / "int8.onnx"))), EXPECTED[family]
    assert found is not None
    assert found.places.heads == tuple(f"{name}_quant" for name in expected.heads) or (
        found.places.heads == expected.heads
    )
    assert (found.places.normaliser, found.places.background) == (expected.normaliser, expected.background)
    assert found.decoded
