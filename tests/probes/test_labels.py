import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxunlearn.errors import InputError
from onnxunlearn.graph import find_logits
from onnxunlearn.probes import Labels, Naming, in_order, read_labels
from tests.small_network import loaded, network, zip_map

from .tiny_models import assert_one_line

NAMES = ["ant", "bee", "cat", "dog", "eel", "fox"]

ANIMALS = Labels(5, ("cat", "dog", "tench, Tinca tinca", "crane", "crane"))


@pytest.mark.parametrize(
    "text",
    [
        "cat\ndog\n",
        "\ufeffcat\r\n dog \r\n\r\n",
        '["cat", "dog"]',
        '{"1": "dog", "0": "cat"}',
        '{"model_type": "vit", "id2label": {"0": "cat", "1": "dog"}}',
    ],
)
def test_read_labels(tmp_path: Path, text: str) -> None:
    path = tmp_path / "labels"
    path.write_bytes(text.encode())
    assert read_labels(path) == ["cat", "dog"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no class names"),
        (b"[]", "holds no class names"),
        (b"{}", "holds no class names"),
        (b"cat\n\ndog", "class 1 has no name"),
        (b'["cat", 3]', "class 1 has no name"),
        (b'{"0": "cat", "2": "dog"}', "class 1 has no name"),
        (b'{"0": "cat", "999999999999": "dog"}', "class 1 has no name"),
        (b'{"cat": 0}', "object index -> name"),
        (b'{"id2label": 3}', "object index -> name"),
        (b"[" * 100_000, "not valid JSON"),
        (b'["cat"', "not valid JSON"),
        (b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_read_labels_refuses(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as raised:
        read_labels(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


def test_names_however_they_are_given(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("cat\ndog\n")
    given: list[Naming] = [["cat", "dog"], {1: "dog", 0: "cat"}, file, str(file)]
    assert [in_order(each) for each in given] == [["cat", "dog"]] * 4
    with pytest.raises(InputError, match=r"^labels: class 1 has no name there"):
        in_order({0: "cat", 2: "dog"})


def test_read_labels_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_labels(tmp_path / "labels.txt")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", [3]),
        ("3,0", [3, 0]),
        (" 3 , 3", [3]),
        ("003", [3]),
        ("dog,cat", [1, 0]),
        ("dog, 4", [1, 4]),
        ("tench, Tinca tinca", [2]),
        ("cat,tench, Tinca tinca,dog", [0, 2, 1]),
    ],
)
def test_parse(text: str, expected: list[int]) -> None:
    assert ANIMALS.parse(text) == expected


def test_a_label_that_is_a_number_wins_over_the_index() -> None:
    assert Labels(3, ("1", "2", "3")).parse("1,2") == [0, 1]


@pytest.mark.parametrize("text", ["5", "-1", "3.0", "", "3,,4", "٣", "9" * 5000, "1e1", "cat"])
def test_parse_names_what_was_typed_and_the_range(text: str) -> None:
    with pytest.raises(InputError, match=r"unknown class .*0\.\.4") as raised:
        Labels(5).parse(text)
    bad = next(part for part in text.split(",") if part not in ("3", "4"))
    assert repr(bad) in str(raised.value)


def test_parse_suggests_the_nearest_labels() -> None:
    with pytest.raises(InputError, match=r"'Dogg'.*did you mean 'dog'"):
        ANIMALS.parse("Dogg")


def test_parse_suggests_the_label_that_holds_what_was_typed() -> None:
    labels = Labels(3, ("bronze", "tin, soft", "lead"))
    with pytest.raises(InputError, match=r"class 'tin', .*; did you mean 'tin, soft'\?$"):
        labels.parse("tin")
    with pytest.raises(InputError, match=r"class '', .*; e\.g\. 'bronze'$"):
        labels.parse("")


def test_parse_refuses_an_ambiguous_label() -> None:
    with pytest.raises(InputError, match="'crane' is the name of 3 and 4; give the index"):
        ANIMALS.parse("crane")


@given(st.text(max_size=30), st.booleans())
def test_parse_gives_valid_classes_or_says_why_not(text: str, named: bool) -> None:
    try:
        found = (ANIMALS if named else Labels(5)).parse(text)
    except InputError as error:
        assert_one_line(error)
    else:
        assert found
        assert all(0 <= c < 5 for c in found)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1), min_size=1))
def test_what_is_written_as_json_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    names = [f"a{n}z" for n in names]
    path = tmp_path_factory.getbasetemp() / "labels.json"
    path.write_text(json.dumps(names))
    assert read_labels(path) == names


# What a model declares


def of(proto: onnx.ModelProto, given: Sequence[str] | None = None) -> Labels:
    model = loaded(proto)
    return Labels.of(model, find_logits(model), given)


def with_names(proto: onnx.ModelProto, names: Sequence[str] = NAMES) -> onnx.ModelProto:
    proto.metadata_props.add(key="names", value=str(dict(enumerate(names))))
    return proto


def test_columns_are_their_own_labels_where_nobody_says_otherwise() -> None:
    for proto in (network(), zip_map(classlabels_int64s=range(6))):
        labels = of(proto)
        assert labels == Labels(6)
        assert not labels
        assert labels.to_json() is None
        assert [labels.short(3), labels.shown(3), labels.number(3)] == ["class 3", "class 3", 3]


def test_numbers_of_a_map_are_what_integers_mean() -> None:
    labels = of(zip_map(classlabels_int64s=[1, 2, 3, 4, 5, 6]))
    assert labels.parse("3,6") == [2, 5]
    assert [labels.short(2), labels.shown(2), labels.number(2), labels[2]] == [
        "class 3",
        "class 3 (column 2)",
        3,
        "3",
    ]
    assert labels.to_json() == {
        "names": ["1", "2", "3", "4", "5", "6"],
        "numbers": [1, 2, 3, 4, 5, 6],
        "source": "ZipMap 'o'",
    }
    (note,) = labels.notes
    assert note == "class numbers are the labels 1, 2, 3, 4, 5, 6 from ZipMap 'o', not columns: 1 is column 0"
    with pytest.raises(InputError, match="unknown class '0', expected one of the labels 1, 2, 3, 4, 5, 6"):
        labels.parse("0")


def test_numbers_that_are_no_columns_need_no_note() -> None:
    labels = of(zip_map(classlabels_int64s=[-10, 20, 30, 40, 50, 60]))
    assert labels.notes == ()
    assert labels.parse("-10, 60") == [0, 5]
    with pytest.raises(InputError, match="expected one of the labels -10, 20, 30, 40, 50, 60"):
        labels.parse("3")


def test_names_leave_the_columns_their_numbers() -> None:
    labels = of(with_names(network()))
    assert labels.parse("cat,5") == [2, 5]
    assert [labels.short(2), labels.shown(2), labels.number(2)] == ["cat", "cat (column 2)", 2]
    assert labels.source == "the metadata"
    assert labels.notes == ()


def test_names_from_one_place_and_numbers_from_another() -> None:
    labels = of(with_names(zip_map(classlabels_int64s=[1, 2, 3, 4, 5, 6])))
    assert labels.parse("cat,3,1") == [2, 0]
    assert labels.shown(2) == "cat (column 2)"
    assert labels.number(2) == 3
    assert labels.source == "the metadata"
    assert len(labels.notes) == 1


def test_those_given_win() -> None:
    proto = with_names(zip_map(classlabels_strings=["u", "v", "w", "x", "y", "z"]))
    assert of(proto)[0] == "u"
    labels = of(proto, ["a", "b", "c", "d", "e", "f"])
    assert labels.parse("c") == [2]
    with pytest.raises(InputError, match="unknown class 'w'"):
        labels.parse("w")
    assert of(proto, ["5", "4", "3", "2", "1", "0"]).parse("5") == [0]
    columns = of(zip_map(classlabels_int64s=[1, 2, 3, 4, 5, 6]), ["0", "1", "2", "3", "4", "5"])
    assert columns.parse("3") == [3]
    assert columns.shown(3) == "class 3"
    with pytest.raises(InputError, match="5 labels for a model with 6 classes"):
        of(proto, ["a", "b", "c", "d", "e"])


def test_a_name_that_is_a_number_of_another_column_is_said() -> None:
    labels = of(with_names(network(), ["ant", "bee", "4", "dog", "eel", "fox"]))
    assert labels.parse("4,3") == [2, 3]
    (note,) = labels.notes
    assert note.startswith("'4' is the label of column 2 (from the metadata)")


def test_two_of_one_name_are_said() -> None:
    labels = of(with_names(network(), ["crane", "bee", "cat", "crane", "eel", "fox"]))
    (note,) = labels.notes
    assert note == "2 classes are called 'crane' in the metadata; where it is meant give the number"
    with pytest.raises(InputError, match="'crane' is the name of 0 and 3; give the index"):
        labels.parse("crane")


@pytest.mark.parametrize(
    ("labels", "columns", "expected"),
    [
        (Labels(20), [4], "class 4"),
        (Labels(20), [4, 5, 6], "classes 4, 5 and 6"),
        (Labels(20), list(range(9)), "classes 0, 1, 2, 3 and 5 more"),
        (Labels(3, ("1", "2", "3"), (1, 2, 3)), [0], "class 1 (column 0)"),
        (Labels(3, ("1", "2", "3"), (1, 2, 3)), [0, 2], "classes 1 and 3"),
        (ANIMALS, [1], "dog (column 1)"),
        (ANIMALS, [0, 1, 3], "cat, dog and crane"),
        (Labels(7, (*NAMES, "7")), list(range(7)), "ant, bee, cat, dog and 3 more"),
    ],
)
def test_classes_are_listed(labels: Labels, columns: list[int], expected: str) -> None:
    assert labels.listed(columns) == expected


@given(st.permutations(range(-3, 3)))
def test_every_number_means_the_column_it_stands_for(numbers: list[int]) -> None:
    labels = of(zip_map(classlabels_int64s=numbers))
    assert [labels.parse(str(n)) for n in numbers] == [[c] for c in range(6)]
    assert [labels.number(c) for c in range(6)] == numbers
    np.testing.assert_array_equal(labels.columns(np.array(numbers)), np.arange(6))
    np.testing.assert_array_equal(labels.columns(np.array(numbers, float)), np.arange(6))
    np.testing.assert_array_equal(labels.columns(np.array([7, 0.5, np.nan])), [-1, -1, -1])


def test_names_in_y() -> None:
    labels = Labels(5, ANIMALS.names)
    np.testing.assert_array_equal(labels.columns(np.array(["dog", " cat", "crane", "gnu"])), [1, 0, -1, -1])
