"""The onnx package's own models: writing every tensor back as it was gives the same bytes."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxunlearn.graph import FileBytes, Model, load, patch

DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"
ALL = sorted(DATA.glob("**/model.onnx"))
#: about 150 of them, the same on every run
SAMPLE = ALL[:: max(1, len(ALL) // 150)]


def read(path: Path) -> Model:
    """Unchecked: some of these are there to be refused."""
    data = path.read_bytes()
    return Model(FileBytes(data), onnx.ModelProto.FromString(data), path)


STORING = [path for path in SAMPLE if any(t.dims != [0] for t in read(path).stored.values())]


def named(path: Path) -> str:
    return path.parent.name


def test_there_are_models_to_try() -> None:
    assert len(SAMPLE) >= 100
    assert len(STORING) >= 50


@pytest.mark.parametrize("path", SAMPLE, ids=named)
def test_nothing_to_write(path: Path) -> None:
    model = read(path)
    assert patch(model, {}) == path.read_bytes()
    assert model.proto.SerializeToString() == path.read_bytes()


@pytest.mark.parametrize("path", STORING, ids=named)
def test_every_tensor_as_it_was(path: Path) -> None:
    model = load(path)
    tensors = {name: model.array(name) for name in model.stored}
    for name, values in tensors.items():
        assert patch(model, {name: values}) == model.data
    assert patch(model, tensors) == model.data


@pytest.mark.parametrize("path", STORING, ids=named)
def test_there_and_back(path: Path) -> None:
    model = load(path)
    before = {name: model.array(name) for name in model.stored if model.array(name).dtype.kind == "f"}
    after = {name: -values - 1 for name, values in before.items()}
    patched = load(patch(model, after))
    assert len(patched.data) == len(model.data)
    for name, values in after.items():
        np.testing.assert_array_equal(patched.array(name), values)
    assert patch(patched, before) == model.data
