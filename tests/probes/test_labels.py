import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxunlearn.errors import InputError
from onnxunlearn.probes import parse_classes, read_labels

from .tiny_models import assert_one_line

ANIMALS = ["cat", "dog", "tench, Tinca tinca", "crane", "crane"]


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
def test_parse_classes(text: str, expected: list[int]) -> None:
    assert parse_classes(text, 5, ANIMALS) == expected


def test_a_label_that_is_a_number_wins_over_the_index() -> None:
    assert parse_classes("1,2", 3, ["1", "2", "3"]) == [0, 1]


@pytest.mark.parametrize("text", ["5", "-1", "3.0", "", "3,,4", "٣", "9" * 5000, "1e1", "cat"])
def test_parse_classes_names_what_was_typed_and_the_range(text: str) -> None:
    with pytest.raises(InputError, match=r"unknown class .*0\.\.4") as raised:
        parse_classes(text, 5, None)
    bad = next(part for part in text.split(",") if part not in ("3", "4"))
    assert repr(bad) in str(raised.value)


def test_parse_classes_suggests_the_nearest_labels() -> None:
    with pytest.raises(InputError, match=r"'Dogg'.*did you mean 'dog'"):
        parse_classes("Dogg", 5, ANIMALS)


def test_parse_classes_refuses_an_ambiguous_label() -> None:
    with pytest.raises(InputError, match="'crane' is the name of 3 and 4; give the index"):
        parse_classes("crane", 5, ANIMALS)


def test_parse_classes_refuses_labels_of_another_model() -> None:
    with pytest.raises(InputError, match="5 labels for a model with 10 classes"):
        parse_classes("cat", 10, ANIMALS)


@given(st.text(max_size=30), st.booleans())
def test_parse_classes_gives_valid_classes_or_says_why_not(text: str, named: bool) -> None:
    try:
        found = parse_classes(text, 5, ANIMALS if named else None)
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
