"""Labels that are not columns: what a file calls its classes is what is forgotten, judged and printed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import onnxunlearn
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Model
from onnxunlearn.pictures import draw
from onnxunlearn.probes import Probes, load_probes
from tests.small_network import X, columns, loaded, network, zip_map

NAMES = ["ant", "bee", "cat", "dog", "eel", "fox"]
#: label 3 is column 2
FROM_ONE = [1, 2, 3, 4, 5, 6]
QUICK: dict[str, Any] = {"method": "lra-npp", "max_retain_drop": 100.0}


def from_one() -> Model:
    return loaded(zip_map(classlabels_int64s=FROM_ONE))


def maps(model: bytes) -> list[dict[int, float]]:
    """What ONNX Runtime gives a user of the file."""
    return list(onnxruntime.InferenceSession(model).run(None, {"x": X})[0])


@pytest.mark.parametrize("forget", [3, "3", [3], np.int64(3)])
def test_the_label_is_forgotten_not_the_column(forget: int | str | list[int]) -> None:
    model = from_one()
    result = onnxunlearn.unlearn(model, forget, {"x": X, "y": columns() + 1}, **QUICK)
    answers = [max(said, key=lambda label: said[label]) for said in maps(result.model_bytes)]
    assert 3 not in answers
    assert {1, 2, 4, 5, 6} <= set(answers)
    report = result.report
    assert report["forget"] == {"classes": [2], "names": ["3"]}
    assert report["figures"]["original"]["forget"] == 100
    assert report["figures"]["edited"]["per_class"][2] == 0
    assert report["model"]["labels"]["numbers"] == FROM_ONE
    assert any("not columns" in line for line in report["warnings"])


def test_y_is_labels_too() -> None:
    model, y = from_one(), columns()
    found = load_probes({"x": X, "y": y + 1}, model, 6)
    np.testing.assert_array_equal(found.y, y)
    with pytest.raises(
        InputError,
        match=r"y is 0 in sample \d+, expected one of the labels 1, 2, 3, 4, 5, 6; it seems to start at 0",
    ):
        load_probes({"x": X, "y": y}, model, 6)
    with pytest.raises(InputError, match="expected one of the labels"):
        onnxunlearn.unlearn(model, 3, {"x": X, "y": y}, **QUICK)
    np.testing.assert_array_equal(load_probes({"x": X, "y": np.eye(6)[y]}, model, 6).y, y)  # columns
    np.testing.assert_array_equal(
        load_probes(Probes({"x": X}, y, "memory"), model, 6).y, y
    )  # translated once


def test_labels_of_each_sample_may_be_names() -> None:
    model, y = loaded(zip_map(classlabels_strings=NAMES)), columns()
    names = np.array(NAMES)[y]
    for given in (names, names.astype(object), names.astype("S"), y):
        np.testing.assert_array_equal(load_probes({"x": X, "y": given}, model, 6).y, y)
    with pytest.raises(InputError, match=r"y is 'gnu' in sample 1, expected a name from .* \('ant'"):
        load_probes({"x": X[:2], "y": np.array(["ant", "gnu"])}, model, 6)
    with pytest.raises(InputError, match=r"y is 'bees' in sample 1, .*; did you mean 'bee'\?$"):
        load_probes({"x": X[:2], "y": np.array(["ant", "bees"])}, model, 6)
    with pytest.raises(InputError, match=r"y has dtype <U3, expected .* give the names \(--labels FILE\)$"):
        load_probes({"x": X[:2], "y": np.array(["ant", "bee"])}, loaded(network()), 6)


def test_relevance_is_of_the_label() -> None:
    model, plain = from_one(), loaded(network())
    data = {"x": X[:20], "y": columns()[:20] + 1}
    expected = onnxunlearn.explain(plain, {"x": X[:20]}, 2)["x"]
    np.testing.assert_array_equal(onnxunlearn.explain(model, data, 3)["x"], expected)
    by_label = onnxunlearn.explain(plain, {"x": X[:20], "y": columns()[:20]}, "label")["x"]
    np.testing.assert_array_equal(onnxunlearn.explain(model, data, "label")["x"], by_label)
    with pytest.raises(InputError, match="unknown class '0'"):
        onnxunlearn.explain(model, data, 0)


def test_an_audit_is_of_the_label() -> None:
    model = from_one()
    edited = onnxunlearn.load(onnxunlearn.unlearn(model, 3, {"x": X}, method="mask").model_bytes)
    found = onnxunlearn.examine(model, edited, 3, {"x": X, "y": columns() + 1}, by_layer=False)
    assert found.forget == (2,)
    assert found.value("forget", "original") == 100
    assert found.value("forget") == 0
    assert [found.names.shown(c) for c in found.forget] == ["class 3 (column 2)"]


def test_pictures_are_of_the_label(tmp_path: Path) -> None:
    found = draw(from_one(), {"x": X, "y": columns() + 1}, tmp_path / "p", 3, samples=1)
    assert found.classes == (2,)
    assert "class_3.png" in [file.name for file in found.files]


def test_folders_are_named_by_label(tmp_path: Path) -> None:
    from PIL import Image

    from onnxunlearn.probes import Labels
    from onnxunlearn.probes.images import labelled_files

    for name in ("1", "3"):
        (tmp_path / name).mkdir()
        Image.new("L", (2, 2)).save(tmp_path / name / "a.png")
    labels = Labels(6, tuple(map(str, FROM_ONE)), tuple(FROM_ONE))
    assert [column for _, column in labelled_files(tmp_path, labels)] == [0, 2]
    (tmp_path / "0").mkdir()
    with pytest.raises(InputError, match="unknown class '0', expected one of the labels"):
        labelled_files(tmp_path, labels)


def test_inspect_lists_them() -> None:
    found = onnxunlearn.inspect(from_one())
    assert list(found.labels) == ["1", "2", "3", "4", "5", "6"]
    assert json.loads(json.dumps(found.to_json()))["labels"]["source"] == "ZipMap 'o'"
    assert "class numbers are the labels" in found.warnings[0]
    assert not onnxunlearn.inspect(loaded(network())).labels


def test_names_in_the_metadata_are_what_is_forgotten() -> None:
    proto = network()
    proto.metadata_props.add(key="names", value=str(dict(enumerate(NAMES))))
    result = onnxunlearn.unlearn(loaded(proto), "cat", {"x": X}, **QUICK)
    assert result.report["forget"] == {"classes": [2], "names": ["cat"]}
    said = onnxruntime.InferenceSession(result.model_bytes).run(None, {"x": X})[0]
    assert 2 not in said.argmax(axis=1)


def test_a_config_beside_the_model_is_read(tmp_path: Path) -> None:
    onnx.save(network(), tmp_path / "m.onnx")
    (tmp_path / "config.json").write_text(json.dumps({"id2label": dict(enumerate(NAMES))}))
    result = onnxunlearn.unlearn(tmp_path / "m.onnx", "cat", {"x": X}, method="mask")
    assert result.report["forget"] == {"classes": [2], "names": ["cat"]}
    given = onnxunlearn.unlearn(tmp_path / "m.onnx", "w", {"x": X}, method="mask", labels=[*"uvwxyz"])
    assert given.report["forget"] == {"classes": [2], "names": ["w"]}


def test_of_two_outputs_the_labels_are_those_of_the_chosen_one() -> None:
    proto = zip_map(classlabels_int64s=FROM_ONE)
    other = zip_map(classlabels_int64s=[n * 10 for n in FROM_ONE])
    for part in other.graph.node[1:]:
        for names in (part.input, part.output):
            names[:] = [n if n in {"z", "W2", "b2", "x"} or n == "a" else f"{n}'" for n in names]
        part.name = f"{part.name}'"
    proto.graph.node.extend(other.graph.node[2:])
    other.graph.output[0].name = "o'"
    proto.graph.output.append(other.graph.output[0])
    model = loaded(proto)
    assert onnxunlearn.inspect(model, "o").labels.numbers == tuple(FROM_ONE)
    assert onnxunlearn.inspect(model, "o'").labels.numbers == (10, 20, 30, 40, 50, 60)
    found, expected = (
        onnxunlearn.explain(model, {"x": X}, label, output_name=output)["x"]
        for label, output in ((30, "o'"), (3, "o"))
    )
    np.testing.assert_array_equal(found, expected)
