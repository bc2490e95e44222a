"""The package's own names: each comes when it is asked for, whatever was imported before."""

import subprocess
import sys

import pytest

import onnxunlearn


def test_every_name_is_there() -> None:
    assert set(onnxunlearn.__all__) == set(onnxunlearn._FROM) <= set(dir(onnxunlearn))
    for name in onnxunlearn.__all__:
        assert callable(getattr(onnxunlearn, name))


def test_another_name_is_not() -> None:
    with pytest.raises(AttributeError, match="module 'onnxunlearn' has no attribute 'relearn'"):
        onnxunlearn.relearn  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("name", ["unlearn", "explain", "examine"])
def test_a_module_does_not_hide_the_function_of_its_name(name: str) -> None:
    program = f"import onnxunlearn.{name}, onnxunlearn; print(type(onnxunlearn.{name}).__name__)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "function\n"
