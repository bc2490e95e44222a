"""What files declare their classes to be called, in every way that is read."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from onnx import TensorProto as T
from onnx import helper

from onnxunlearn.graph import class_labels, find_logits, load
from onnxunlearn.graph.class_labels import Unclear, parse_names
from tests.small_network import ML, X, array, columns, loaded, network, node, zip_map

NAMES = ["ant", "bee", "cat", "dog", "eel", "fox"]
NUMBERS = [10, 3, -1, 5, 0, 2]


def declared(
    proto: onnx.ModelProto, path: Path | None = None
) -> tuple[list[tuple[list[Any], str]], list[str]]:
    if path is not None:
        onnx.save(proto, path)
    model = loaded(proto) if path is None else load(path)
    found, lines = class_labels(model, find_logits(model))
    return [(list(each.labels), each.source) for each in found], lines


def label_output(steps: list[onnx.NodeProto], kind: int, *constants: onnx.TensorProto) -> onnx.ModelProto:
    """`best`, the largest score's column, goes in; `label` comes out."""
    tail = [node("Softmax", ["logits"], ["p"], axis=1), node("ArgMax", ["p"], ["best"], axis=1, keepdims=0)]
    model = network([*tail, *steps], constants, [("p", 6)])
    model.graph.output.append(helper.make_tensor_value_info("label", kind, ["M"]))
    return model


def with_metadata(text: str) -> onnx.ModelProto:
    model = network()
    model.metadata_props.add(key="names", value=text)
    return model


def ml(op: str, inputs: list[str], to: str, **attributes: Any) -> onnx.NodeProto:
    return node(op, inputs, [to], domain=ML, **attributes)


@pytest.mark.parametrize(
    ("attributes", "labels"),
    [({"classlabels_int64s": NUMBERS}, NUMBERS), ({"classlabels_strings": NAMES}, NAMES)],
)
def test_a_map(attributes: dict[str, Any], labels: list[Any]) -> None:
    assert declared(zip_map(**attributes)) == ([(labels, "ZipMap 'o'")], [])


SHAPE = array("shape", [-1])
STRINGS = array("classes", NAMES, object)
KEYS = {"keys_int64s": [5, 4, 3, 2, 1, 0]}
OUTPUTS: dict[str, tuple[onnx.ModelProto, list[Any]]] = {
    "skl2onnx, of numbers": (
        label_output(
            [
                ml("ArrayFeatureExtractor", ["classes", "best"], "picked"),
                node("Reshape", ["picked", "shape"], ["flat"]),
                node("Cast", ["flat"], ["label"], to=T.INT64),
            ],
            T.INT64,
            array("classes", NUMBERS, np.int32),
            SHAPE,
        ),
        NUMBERS,
    ),
    "skl2onnx, of names": (
        label_output(
            [
                ml("ArrayFeatureExtractor", ["classes", "best"], "picked"),
                node("Reshape", ["picked", "shape"], ["label"]),
            ],
            T.STRING,
            STRINGS,
            SHAPE,
        ),
        NAMES,
    ),
    "Gather": (label_output([node("Gather", ["classes", "best"], ["label"])], T.STRING, STRINGS), NAMES),
    "LabelEncoder to names": (
        label_output([ml("LabelEncoder", ["best"], "label", values_strings=NAMES[::-1], **KEYS)], T.STRING),
        NAMES,
    ),
    "LabelEncoder to numbers": (
        label_output([ml("LabelEncoder", ["best"], "label", values_int64s=NUMBERS[::-1], **KEYS)], T.INT64),
        NUMBERS,
    ),
    "LabelEncoder with a default": (
        label_output(
            [ml("LabelEncoder", ["best"], "label", keys_int64s=[0, 1], values_strings=["ant", "bee"],
                default_string="other")],
            T.STRING,
        ),
        ["ant", "bee", "other", "other", "other", "other"],
    ),
    "CategoryMapper": (
        label_output(
            [ml("CategoryMapper", ["best"], "label", cats_int64s=[0, 1, 2, 3, 4, 5], cats_strings=NAMES)],
            T.STRING,
        ),
        NAMES,
    ),
    "one behind the other": (
        label_output(
            [
                ml("LabelEncoder", ["best"], "turned", values_int64s=list(range(6)), **KEYS),
                ml("ArrayFeatureExtractor", ["classes", "turned"], "label"),
            ],
            T.STRING,
            STRINGS,
        ),
        NAMES[::-1],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_label_output(name: str) -> None:
    proto, labels = OUTPUTS[name]
    assert declared(proto) == ([(labels, "output 'label'")], [])


@pytest.mark.parametrize("name", OUTPUTS)
def test_that_is_what_the_file_says(name: str) -> None:
    """Whatever the largest score's column is, the file's own label is the one that was read."""
    proto, labels = OUTPUTS[name]
    said = onnxruntime.InferenceSession(proto.SerializeToString()).run(["label"], {"x": X})[0]
    assert said.reshape(-1).tolist() == [labels[c] for c in columns()]


def test_labels_of_something_else_do_not_count() -> None:
    tail = [
        node("ArgMax", ["z"], ["best"], axis=1, keepdims=0),
        ml("ArrayFeatureExtractor", ["classes", "best"], "label"),
    ]
    model = network(tail, [array("classes", np.arange(32) + 1)])
    model.graph.output.append(helper.make_tensor_value_info("label", T.INT64, ["M", "K"]))
    assert declared(model) == ([], [])


@pytest.mark.parametrize(
    "text",
    [
        str(dict(enumerate(NAMES))),  # as Ultralytics does
        str(dict(reversed(list(enumerate(NAMES))))),
        json.dumps(dict(enumerate(NAMES))),
        json.dumps(NAMES),
        "{0: 'ant', 1: 'bee', 2: 'cat', 3: 'dog', 4: 'eel', 5: 'fox',}",
    ],
)
def test_metadata(text: str) -> None:
    assert declared(with_metadata(text)) == ([(NAMES, "the metadata")], [])


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1, max_size=8))
@example(["jack-o'-lantern", 'a "b"', "c\\", "{0: 'x'}", "a, 1: 'b'", "\n", "é", "\x00"])
def test_whatever_python_writes_is_read(names: list[str]) -> None:
    assert parse_names(str(dict(enumerate(names)))) == names


@given(st.text(st.sampled_from("{}0:1'\",ab \\[]()+-\n"), max_size=40))
@example("{0: __import__('os').getcwd()}")
@example("{0: 'a' 'b'}")
@example("{0: f'{1}'}")
@example("{0: 'a'} + {1: 'b'}")
@example("[" * 100_000)
@example("{0: " + "-" * 100_000 + "1}")
@example("")
def test_nothing_else_is_and_nothing_is_run(text: str) -> None:
    try:
        names = parse_names(text)
    except Unclear:
        return
    assert isinstance(names, list)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{0: 'ant', 1: 'bee'}", "they are 2, the model has 6 classes"),
        ("{0: 'ant', 2: 'bee'}", "their indices leave some out"),
        ("ant, bee", "neither a dict of names nor JSON"),
        ("{0: print()}", "neither a dict of names nor JSON"),
        ('"ant"', "expected names by index"),
        (json.dumps([*NAMES[:5], None]), "some are no names"),
        (json.dumps([*NAMES[:5], " "]), "some are no names"),
        ("{0: '\\x'}", "'\\x' is no text"),
    ],
)
def test_what_makes_no_sense_is_said_and_not_used(text: str, why: str) -> None:
    assert declared(with_metadata(text)) == ([], [f"the labels from the metadata are not used: {why}"])


def test_a_number_twice_is_not_used() -> None:
    found, lines = declared(zip_map(classlabels_int64s=[1, 2, 3, 3, 4, 5]))
    assert found == []
    assert lines == ["the labels from ZipMap 'o' are not used: 3 stands there more than once"]


def test_bytes_that_are_no_text() -> None:
    proto, _ = OUTPUTS["LabelEncoder with a default"]
    damaged = onnx.ModelProto()
    damaged.CopyFrom(proto)
    for attribute in damaged.graph.node[-1].attribute:
        if attribute.name == "default_string":
            attribute.s = b"ot\xff\xfer"
        if attribute.name == "values_strings":
            attribute.strings[1] = b"b\xffe"
    assert declared(damaged) == ([(["ant", "b\ufffde", *["ot\ufffd\ufffdr"] * 4], "output 'label'")], [])


def test_a_config_beside_the_model(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"model_type": "vit", "id2label": dict(enumerate(NAMES))}))
    assert declared(network(), tmp_path / "m.onnx") == ([(NAMES, "config.json")], [])
    (tmp_path / "onnx").mkdir()  # as repositories for transformers.js have it
    assert declared(network(), tmp_path / "onnx" / "m.onnx") == ([(NAMES, "config.json")], [])
    (tmp_path / "other").mkdir()
    assert declared(network(), tmp_path / "other" / "m.onnx") == ([], [])


@pytest.mark.parametrize("text", ["", "[]", '{"id2label": null}', "{}", "\xff", "[" * 100_000, '{"a": 1'])
def test_a_config_of_something_else_is_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text, encoding="latin-1")
    assert declared(network(), tmp_path / "m.onnx") == ([], [])


def test_a_config_of_another_model_is_said(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"id2label": {"0": "a", "1": "b"}}))
    found, lines = declared(network(), tmp_path / "m.onnx")
    assert found == []
    assert lines == ["the labels from config.json are not used: they are 2, the model has 6 classes"]


def test_all_that_is_declared_what_counts_most_first(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"id2label": dict(enumerate(NAMES))}))
    model = zip_map(classlabels_int64s=NUMBERS)
    model.metadata_props.add(key="names", value=json.dumps(NAMES[::-1]))
    found, lines = declared(model, tmp_path / "m.onnx")
    assert found == [(NUMBERS, "ZipMap 'o'"), (NAMES[::-1], "the metadata"), (NAMES, "config.json")]
    assert lines == []
