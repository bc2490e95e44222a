"""What travels to another machine, and that it is the same request there."""

from pathlib import Path

import killed_batch
import numpy as np
import onnx
import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.fleet.parcel import pack, shared, unpack
from onnxunlearn.fleet.request import Request


@pytest.fixture
def request_of_many(tmp_path: Path) -> Request:
    """A model with a data file and a config.json, probes by a script, labels elsewhere."""
    killed_batch.make(tmp_path, 1)
    place = tmp_path / "models"
    place.mkdir()
    model = onnx.load(tmp_path / "device0.onnx")
    onnx.save(model, place / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    (place / "config.json").write_text('{"id2label": {}}')
    (tmp_path / "probes.py").write_text("def load(): ...")
    (tmp_path / "labels.txt").write_text("a\nb\n")
    labels = place / ".." / "labels.txt"
    return Request("r", place / "m.onnx", "0", data=f"{tmp_path}/probes.py:load", labels=labels)


def test_the_same_request_elsewhere(request_of_many: Request, tmp_path: Path) -> None:
    parcel = pack(request_of_many, "1", {})
    root = tmp_path / "elsewhere"
    there = unpack(parcel, {}, root)
    assert {path.name for path in root.rglob("*") if path.is_file()} == {
        *("m.onnx", "m.data", "config.json", "probes.py", "labels.txt")
    }
    assert there.model.is_relative_to(root)
    assert there.data == f"{root}{tmp_path}/probes.py:load"
    assert there.identity() == request_of_many.identity()
    assert onnx.load(there.model) == onnx.load(request_of_many.model)


def test_every_kind_of_probes_travels(tmp_path: Path) -> None:
    killed_batch.make(tmp_path, 1)
    names = ("data", "retain", "forget_samples", "like")
    for name in names:
        np.save(tmp_path / f"{name}.npy", np.zeros(1))
    data, retain, having, like = (str(tmp_path / f"{name}.npy") for name in names)
    model = tmp_path / "device0.onnx"
    request = Request("r", model, data=data, retain=retain, forget_samples=having, like=like)
    root = tmp_path / "elsewhere"
    there = unpack(pack(request, "1", {}), {}, root)
    assert all(Path(str(getattr(there, name))).is_relative_to(root) for name in names)
    assert there.identity() == request.identity()


def test_what_several_read_travels_apart(tmp_path: Path) -> None:
    killed_batch.make(tmp_path, 2)
    folder = tmp_path / "images"
    (folder / "empty").mkdir(parents=True)
    np.save(folder / "0.npy", np.zeros(1))
    requests = [Request(f"r{n}", tmp_path / "device0.onnx", "0", data=str(folder)) for n in range(2)]
    shelf = shared(requests)
    assert set(shelf) == {folder, folder / "empty", folder / "0.npy"}
    assert shared(requests[:1]) == {}
    parcel = pack(requests[0], "1", shelf)
    assert set(parcel.files) == {tmp_path / "device0.onnx"}
    there = unpack(parcel, shelf, tmp_path / "elsewhere")
    assert (Path(str(there.data)) / "empty").is_dir()
    assert there.identity() == requests[0].identity()


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone.onnx: cannot be read \(No such file"):
        pack(Request("r", tmp_path / "gone.onnx", "0"), "1", {})
