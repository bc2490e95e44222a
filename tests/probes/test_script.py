import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.probes.script import run_script, script_parts

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "loader.py"
        path.write_text(text)
        return path

    return write


def test_script_parts() -> None:
    assert script_parts("a/loader.py:make") == (Path("a/loader.py"), "make")
    assert script_parts("C:\\a\\loader.py:make") == (Path("C:\\a\\loader.py"), "make")
    for other in ("probes.npz", "loader.py", "a:b", ""):
        assert script_parts(other) is None


@pytest.mark.parametrize(
    "body", ["return {'x': [1]}", "yield {'x': [1]}", "return [{'x': [1]}]", "return iter(({'x': [1]},))"]
)
def test_returns_or_yields(write: Write, body: str) -> None:
    assert list(run_script(write(f"def make():\n    {body}"), "make")) == [{"x": [1]}]


def test_a_script_may_define_dataclasses(write: Write) -> None:
    text = (
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "@dataclass\n"
        "class A:\n"
        "    b: int\n"
        "def make():\n"
        "    return {'x': A(1).b}\n"
    )
    assert list(run_script(write(text), "make")) == [{"x": 1}]


def test_a_script_may_import_its_neighbours(write: Write) -> None:
    path = write("from onnxunlearn_test_neighbour import X\ndef make():\n    yield {'x': X}\n")
    (path.parent / "onnxunlearn_test_neighbour.py").write_text("X = 5\n")
    before = list(sys.path)
    assert list(run_script(path, "make")) == [{"x": 5}]
    assert sys.path == before


def test_its_error_becomes_one_line_that_names_file_error_and_line(write: Write) -> None:
    path = write("def make():\n    yield {'x': 1}\n    raise ValueError('bad\\nluck')\n")
    with pytest.raises(InputError) as raised:
        list(run_script(path, "make"))
    assert str(raised.value) == f"{path}:make: raised ValueError: bad luck in line 3; correct the script"


def test_the_line_is_named_for_a_relative_path_too(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write("1 / 0").parent)
    with pytest.raises(InputError, match=r"^loader\.py:make: raised ZeroDivisionError: .* in line 1; "):
        list(run_script(Path("loader.py"), "make"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def make(:", "raised SyntaxError"),
        (
            "import no_such_module_here",
            "raised ModuleNotFoundError: No module named 'no_such_module_here' in line 1",
        ),
        ("import sys\nsys.exit(3)", "raised SystemExit: 3 in line 2"),
        ("def make(path): ...", "raised TypeError: .*positional argument"),
        ("def make(): ...", "raised TypeError: 'NoneType' object is not iterable"),
        ("def make():\n    return [1, 2]", "batch 0 is int, expected a dict"),
        ("def load(): ...\nmake = 3", "no function 'make'; it has load"),
        ("", "no function 'make'; it defines none"),
    ],
)
def test_scripts_that_cannot_be_used(write: Write, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        list(run_script(write(text), "make"))
    assert len(str(raised.value).splitlines()) == 1


def test_missing_script(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such script"):
        list(run_script(tmp_path / "loader.py", "make"))
