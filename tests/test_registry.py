import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.registry import Registry


def test_entries_are_found_under_every_name() -> None:
    colours: Registry[int] = Registry("colour")
    assert colours("red", "rot")(7) == 7
    assert colours["red"] == colours.choose("rot") == 7
    assert list(colours) == ["red", "rot"]
    assert len(colours) == 2
    assert "blue" not in colours


def test_a_name_is_taken_once() -> None:
    colours: Registry[int] = Registry("colour")
    colours("red")(7)
    with pytest.raises(ValueError, match="colour 'red' is registered twice"):
        colours("red")(8)
    assert colours["red"] == 7


def test_a_user_is_told_what_there_is() -> None:
    colours: Registry[int] = Registry("colour")
    colours("red")(7)
    colours("blue")(8)
    with pytest.raises(InputError, match="unknown colour 'green'; known: blue, red"):
        colours.choose("green")
    with pytest.raises(KeyError):
        colours["green"]
