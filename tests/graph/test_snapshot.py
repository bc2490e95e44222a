"""A file of the original that is rewritten while it is worked on is noticed before anything is saved."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.graph import Edited, Model, Snapshot, load

from .models import assert_one_line, external, tensor
from .outside import B, W, gemm


@pytest.fixture
def model(tmp_path: Path) -> Model:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "d").write_bytes(W.tobytes())
    proto = gemm(w=external("w", "d", [4, 3]), b=tensor("b", B))
    (tmp_path / "in" / "m.onnx").write_bytes(proto.SerializeToString())
    return load(tmp_path / "in" / "m.onnx")


def other_values(path: Path) -> None:
    path.write_bytes((W + 1).tobytes())


def other_values_at_the_same_time(path: Path) -> None:
    """As with `cp -p`, or on a file system whose clock is coarse: no time tells."""
    before = path.stat()
    other_values(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def more(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


def another_file(path: Path) -> None:
    other_values(path.with_name("new"))
    path.with_name("new").replace(path)


def touched(path: Path) -> None:
    os.utime(path, ns=(0, 0))


def gone(path: Path) -> None:
    path.unlink()


def leads_out(path: Path) -> None:
    path.unlink()
    (path.parents[1] / "outside").write_bytes(W.tobytes())
    path.symlink_to(path.parents[1] / "outside")


Change = Callable[[Path], None]


def refused(model: Model, began: Snapshot, out: Path, name: str) -> None:
    edited = Edited.of(model, {"b": -B}, began)
    before = sorted(os.listdir(out.parent))
    with pytest.raises(InputError) as caught:
        edited.save(out)
    assert_one_line(caught.value, f"{name}: changed while it was worked on", "run again")
    assert sorted(os.listdir(out.parent)) == before


@pytest.mark.parametrize(
    "change", [other_values, other_values_at_the_same_time, more, another_file, touched, gone, leads_out]
)
def test_a_data_file(model: Model, tmp_path: Path, change: Change) -> None:
    began = Snapshot.of(model)
    change(tmp_path / "in" / "d")
    missing = change in (gone, leads_out)
    if missing:  # no name can be found for a copy, or no status
        with pytest.raises(InputError):
            Edited.of(model, {"b": -B}, began).save(tmp_path / "out.onnx")
        assert not (tmp_path / "out.onnx").exists()
    else:
        refused(model, began, tmp_path / "out.onnx", "d")


@pytest.mark.parametrize("change", [more, gone])
def test_the_models_file(model: Model, tmp_path: Path, change: Change) -> None:
    began = Snapshot.of(model)
    change(tmp_path / "in" / "m.onnx")
    refused(model, began, tmp_path / "out.onnx", "m.onnx")


def test_the_models_file_with_other_bytes_of_the_same_size(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "in" / "m.onnx"
    began, before = Snapshot.of(model), path.stat()
    path.write_bytes(model.data.replace(B.tobytes(), (B + 1).tobytes()))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    refused(model, began, tmp_path / "out.onnx", "m.onnx")


def test_the_same_bytes_again_are_no_change(model: Model, tmp_path: Path) -> None:
    """Of the model's file, all of which was read when it was loaded."""
    began = Snapshot.of(model)
    (tmp_path / "in" / "m.onnx").write_bytes(model.data)
    Edited.of(model, {"b": -B}, began).save(tmp_path / "out.onnx")
    np.testing.assert_array_equal(load(tmp_path / "out.onnx").array("b"), -B)


def test_what_it_says_of_data_files(model: Model, tmp_path: Path) -> None:
    (file,) = Snapshot.of(model).data.items()
    assert file[0] == "d"
    assert (file[1].stamp.bytes, file[1].sha256) == (48, hashlib.sha256(W.tobytes()).hexdigest())
    assert file[1].stamp.modified == (tmp_path / "in" / "d").stat().st_mtime_ns


def test_a_model_of_bytes_has_no_files() -> None:
    model = load(gemm(w=tensor("w", W), b=tensor("b", B)).SerializeToString())
    began = Snapshot.of(model)
    assert began.data == {}
    began.check()
