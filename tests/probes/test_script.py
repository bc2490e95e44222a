import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
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


@pytest.mark.parametrize("when", ["def make():\n    {}", "def make():\n    yield {{'x': 1}}\n    {}", "{}"])
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("raise KeyboardInterrupt", "raised KeyboardInterrupt in line"),
        ("raise SystemExit(0)", "raised SystemExit: 0 in line"),
        ("raise SystemExit", "raised SystemExit in line"),
        ("raise BaseException('all')", "raised BaseException: all in line"),
        ("raise GeneratorExit", "raised GeneratorExit in line"),
        ("import os; os._exit(0)", "ended its process with exit code 0; correct"),
        ("import os; os._exit(1)", "ended its process with exit code 1; correct"),
        ("import os; os.kill(os.getpid(), 9)", "its process was ended by SIGKILL; correct"),
        ("import os; os.abort()", "its process was ended by SIGABRT; correct"),
        ("import ctypes; ctypes.string_at(0)", "its process was ended by SIGSEGV; correct"),
    ],
)
def test_whatever_ends_a_script_ends_it_alone(write: Write, when: str, what: str, said: str) -> None:
    path = write(when.format(what))
    with pytest.raises(InputError) as raised:
        list(run_script(path, "make"))
    assert str(raised.value).startswith(f"{path}:make: {said}")
    assert len(str(raised.value).splitlines()) == 1


def test_what_was_given_before_an_error_is_used(write: Write) -> None:
    batches = run_script(write("def make():\n    yield {'x': [1]}\n    import os; os._exit(3)"), "make")
    assert next(batches) == {"x": [1]}
    with pytest.raises(InputError, match="exit code 3"):
        next(batches)


def test_arrays_of_any_size_and_library(write: Write) -> None:
    text = (
        "import numpy as np, torch\n"
        "def make():\n"
        "    print('on stdout', flush=True)\n"
        "    yield {'x': np.arange(3_000_000), 'y': torch.arange(4)}\n"
        "    yield {'x': np.arange(3, dtype=np.float16), 'y': np.array(['a'])}\n"
    )
    first, second = run_script(write(text), "make")
    assert int(first["x"].sum()) == 4_499_998_500_000
    assert isinstance(first["y"], np.ndarray)
    assert (first["y"].tolist(), second["y"].tolist()) == ([0, 1, 2, 3], ["a"])
    assert second["x"].dtype == np.float16


def test_what_cannot_be_handed_over(write: Write) -> None:
    path = write("class A: ...\ndef make():\n    return {'x': A()}\n")
    with pytest.raises(InputError, match=r"make: yields what cannot be handed over \(.*; yield NumPy arrays"):
        list(run_script(path, "make"))
    path = write("def make():\n    return {'x': lambda: 1}\n")
    with pytest.raises(InputError, match=r"make: raised (AttributeError|PicklingError)"):
        list(run_script(path, "make"))


def test_a_script_that_is_not_read_to_its_end_is_ended(write: Write) -> None:
    path = write(
        "import os, pathlib\ndef make():\n    yield {'x': os.getpid()}\n    import time; time.sleep(600)\n"
    )
    batches = run_script(path, "make")
    process = next(batches)["x"]
    os.kill(process, 0)
    batches.close()  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
