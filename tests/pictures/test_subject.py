"""Which input is drawn, as what, and where its relevance lies."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph import Model, find_logits, load
from onnxunlearn.pictures.subject import (
    Subject,
    as_images,
    as_series,
    find_subject,
    relevance_map,
    starts_with_conv,
)
from tests.pictures.models import (
    CLASSES,
    image_model,
    model_bytes,
    series_model,
    table_model,
    token_model,
    weights,
)


def subject(data: bytes, name: str | None = None) -> Subject:
    model = load(data)
    return find_subject(model, find_logits(model), name)


def first_is_conv(data: bytes) -> bool:
    model = load(data)
    return starts_with_conv(model, subject(data), find_logits(model))


@pytest.mark.parametrize(
    ("data", "expected", "conv"),
    [
        (image_model(), Subject("x", "x", "image"), True),
        (image_model(3, nhwc=True), Subject("x", "x", "image"), True),
        (series_model(), Subject("x", "x", "series"), True),
        (table_model(), Subject("x", "x", "table"), False),
        (token_model(), Subject("ids", "e", "tokens"), False),
        (token_model(mask=True), Subject("ids", "e", "tokens"), False),
    ],
)
def test_kinds(data: bytes, expected: Subject, conv: bool) -> None:
    assert subject(data) == expected
    assert first_is_conv(data) is conv


def two_tables() -> bytes:
    """Token types (3 rows) before words (12 rows), added."""
    nodes = [
        helper.make_node("Cast", ["types"], ["types32"], to=TensorProto.INT32),
        helper.make_node("Gather", ["type_table", "types32"], ["te"]),
        helper.make_node("Gather", ["table", "ids"], ["e"]),
        helper.make_node("Add", ["te", "e"], ["s"]),
        helper.make_node("ReduceMean", ["s"], ["p"], axes=[1], keepdims=0),
        helper.make_node("Gemm", ["p", "v"], ["logits"]),
    ]
    ids = (TensorProto.INT64, ["N", "T"])
    stored = {"type_table": weights(3, 4), "table": weights(12, 4), "v": weights(4, CLASSES)}
    return model_bytes(nodes, {"types": ids, "ids": ids}, stored)


def test_words_come_before_token_types_unless_asked_for() -> None:
    assert subject(two_tables()) == Subject("ids", "e", "tokens")
    assert subject(two_tables(), "types") == Subject("types", "te", "tokens")


def test_pixels_as_integers_are_read_behind_the_cast() -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["pixels"], ["f"]),
        helper.make_node("Gemm", ["f", "v"], ["logits"]),
    ]
    data = model_bytes(nodes, {"x": (TensorProto.UINT8, ["N", 1, 2, 2])}, {"v": weights(4, CLASSES)})
    assert subject(data) == Subject("x", "pixels", "image")


def test_refusals() -> None:
    with pytest.raises(InputError, match="no input 'y'; the model has: x"):
        subject(table_model(), "y")
    with pytest.raises(UnsupportedError, match="mask"):
        subject(token_model(mask=True), "mask")


def test_five_axes_cannot_be_drawn() -> None:
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("Gemm", ["f", "v"], ["logits"])]
    shape: list[int | str] = ["N", 1, 2, 2, 2]
    model: Model = load(model_bytes(nodes, {"x": (TensorProto.FLOAT, shape)}, {"v": weights(8, CLASSES)}))
    with pytest.raises(UnsupportedError, match="onnxunlearn relevance"):
        find_subject(model, find_logits(model))


def test_layouts() -> None:
    assert as_images(np.zeros((2, 3, 5, 7))).shape == (2, 5, 7, 3)
    assert as_images(np.zeros((2, 5, 7, 3))).shape == (2, 5, 7, 3)
    assert as_images(np.zeros((2, 1, 1, 1))).shape == (2, 1, 1, 1)
    assert as_images(np.zeros((2, 6, 5, 7))).shape == (2, 5, 7, 6)
    assert as_series(np.zeros((2, 9, 128))).shape == (2, 9, 128)
    assert as_series(np.zeros((2, 128, 9))).shape == (2, 9, 128)


@pytest.mark.parametrize(
    ("kind", "shape", "expected"),
    [
        ("image", (2, 3, 5, 7), (2, 5, 7)),
        ("series", (2, 3, 9), (2, 9)),
        ("table", (2, 4), (2, 4)),
        ("table", (2,), (2, 1)),
        ("tokens", (2, 5, 8), (2, 5)),
    ],
)
def test_maps_keep_the_sum(kind: str, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    relevance = np.random.default_rng(0).standard_normal(shape)
    found = relevance_map(Subject("x", "x", kind), relevance)  # type: ignore[arg-type]
    assert found.shape == expected
    np.testing.assert_allclose(found.reshape(2, -1).sum(axis=1), relevance.reshape(2, -1).sum(axis=1))
