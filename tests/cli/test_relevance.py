from pathlib import Path

import numpy as np
import pytest

from onnxunlearn import explain

from ..sample_paths import CNN, mlp
from .command import contents, onnxunlearn

ARGUMENTS = ("relevance", "m.onnx", "--data", "probes.npz", "-o", "r.npz")


def test_the_arrays_are_those_of_the_api(folder: Path) -> None:
    ran = onnxunlearn(*ARGUMENTS, "--target", "label", "--tensors", "all")
    assert (ran.code, ran.err) == (0, "")
    expected = explain("m.onnx", "probes.npz", "label", tensors="all")
    with np.load("r.npz", allow_pickle=False) as found:
        assert found.files == list(expected)
        for name in found.files:
            np.testing.assert_array_equal(found[name], expected[name])
    rows = [" ".join(line.split()) for line in ran.out.splitlines()]
    assert any(row.startswith("x 80 × 1 × 28 × 28 ") for row in rows)
    assert ran.out.endswith("\nwritten: r.npz\n")
    assert set(contents(folder)) == {"m.onnx", "probes.npz", "r.npz"}


def test_a_tensor_may_have_any_name(folder: Path) -> None:
    """numpy.savez takes names as keywords, and has one called `file` itself."""
    proto = mlp()
    proto.graph.input[0].name = proto.graph.node[0].input[0] = "file"
    (folder / "m.onnx").write_bytes(proto.SerializeToString())
    assert onnxunlearn(*ARGUMENTS, "--target", 3).code == 0
    with np.load("r.npz") as found:
        assert found["file"].shape == (80, 1, 28, 28)


def test_an_existing_file_is_kept_unless_overwritten(folder: Path) -> None:
    (folder / "r.npz").write_text("precious")
    before = contents(folder)
    ran = onnxunlearn(*ARGUMENTS, "--target", 3)
    assert ran.code == 2
    assert ran.err.startswith("onnxunlearn: r.npz: exists already")
    assert contents(folder) == before
    assert onnxunlearn(*ARGUMENTS, "--target", 3, "--overwrite", "-q").out == ""
    assert (folder / "r.npz").read_bytes()[:2] == b"PK"


def test_the_model_is_never_written(folder: Path) -> None:
    before = contents(folder)
    arguments = ("relevance", "m.onnx", "--data", "probes.npz", "--target", 3, "-o", "m.onnx", "--overwrite")
    ran = onnxunlearn(*arguments)
    assert (ran.code, contents(folder)) == (2, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "10"], "unknown class '10'"),
        (["--target", "3,4"], "names 2 classes"),
        (["--target", "3", "--tensors", "nothing"], "no tensor 'nothing'"),
        (["--target", "3", "--composite", "alchemy"], "unknown composite 'alchemy'"),
        (["--target", "3", "--labels", "nothing.txt"], "nothing.txt: no such file"),
        (["--target", "empty.npy"], "empty.npy: not a NumPy file"),
        (["--target", "nothing.npy"], "nothing.npy: cannot be read"),
        (["--target", "3", "--batch-size", "0"], "Invalid value for '--batch-size'"),
        ([], "Missing option '--target'"),
    ],
)
def test_bad_input_is_one_line_and_no_file(folder: Path, arguments: list[str], message: str) -> None:
    (folder / "empty.npy").touch()
    before = contents(folder)
    ran = onnxunlearn(*ARGUMENTS, *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert len(ran.err.splitlines()) == 1
    assert contents(folder) == before


def test_convolutions(folder: Path) -> None:
    ran = onnxunlearn("relevance", CNN, "--data", "probes.npz", "--target", "predicted", "-o", "r.npz")
    assert ran.code == 0
    with np.load("r.npz") as found:
        assert np.isfinite(found["x"]).all()
