"""`onnxunlearn explain`, as a user types it."""

from pathlib import Path

import numpy as np
import pytest

from ..pictures.models import image_model, inputs_of, token_ids, token_model
from .command import contents, onnxunlearn


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a small model, probes and class names."""
    (tmp_path / "m.onnx").write_bytes(image_model())
    np.savez(tmp_path / "probes.npz", **inputs_of(6, 1, 6, 6))  # type: ignore[arg-type]
    (tmp_path / "names.txt").write_text("cat\ndog\nhorse\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


BASE = ("explain", "m.onnx", "--data", "probes.npz")


def test_pictures_and_a_table(files: Path) -> None:
    result = onnxunlearn(*BASE, "--target", "dog", "--labels", "names.txt", "-o", "out")
    assert result.code == 0
    assert sorted(p.name for p in (files / "out").iterdir()) == ["class_1.png", "index.html", "layers.png"]
    assert "conv" in result.out
    assert "written: out/index.html and 2 pictures" in result.out
    assert result.err == ""
    assert "dog" in (files / "out" / "index.html").read_text()


def test_compare_and_every_class(files: Path) -> None:
    result = onnxunlearn(
        *BASE, "--target", "label", "--compare", "m.onnx", "--samples", "1", "-q", "-o", "out"
    )
    assert (result.code, result.out, result.err) == (0, "", "")
    assert len(list((files / "out").glob("class_*.png"))) == 3


def test_tokens_with_a_vocabulary(files: Path) -> None:
    (files / "tokens.onnx").write_bytes(token_model())
    np.savez(files / "tokens.npz", **token_ids())  # type: ignore[arg-type]
    (files / "vocab.txt").write_text("\n".join(f"word{i}" for i in range(12)))
    result = onnxunlearn(
        *("explain", "tokens.onnx", "--data", "tokens.npz", "--vocabulary", "vocab.txt"),
        *("--target", "predicted", "--input", "ids", "-o", "out"),
    )
    assert result.code == 0
    assert "word1" in (files / "out" / "index.html").read_text()


def test_another_engine(files: Path) -> None:
    result = onnxunlearn(*BASE, "--target", "0", "--engine", "numpy", "-o", "out")
    assert result.code == 0
    assert "numpy" in (files / "out" / "index.html").read_text()


def test_earlier_pictures_need_overwrite(files: Path) -> None:
    assert onnxunlearn(*BASE, "--target", "0", "-o", "out").code == 0
    refused = onnxunlearn(*BASE, "--target", "1", "-o", "out")
    assert refused.code == 2
    assert "--overwrite" in refused.err
    assert not (files / "out" / "class_1.png").exists()
    assert onnxunlearn(*BASE, "--target", "1", "-o", "out", "--overwrite").code == 0
    assert sorted(p.name for p in (files / "out").iterdir()) == ["class_1.png", "index.html", "layers.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*BASE, "--target", "7", "-o", "out"), "unknown class '7'"),
        ((*BASE, "--target", "0", "-o", "names.txt"), "is a file"),
        ((*BASE, "--target", "0", "-o", "out/deeper"), "does not exist"),
        ((*BASE, "--target", "0"), "Missing option '-o'"),
        ((*BASE, "-o", "out"), "Missing option '--target'"),
        ((*BASE, "--target", "0", "--samples", "0", "-o", "out"), "--samples"),
        ((*BASE, "--target", "0", "--compare", "names.txt", "-o", "out"), "not an ONNX file"),
        ((*BASE, "--target", "0", "--compare", "nowhere.onnx", "-o", "out"), "no such file"),
        ((*BASE, "--target", "0", "--start", "hope", "-o", "out"), "--start"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing_behind(
    files: Path, arguments: tuple[str, ...], message: str
) -> None:
    before = contents(files)
    result = onnxunlearn(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert message in result.err
    assert len(result.err.splitlines()) == 1
    assert contents(files) == before
