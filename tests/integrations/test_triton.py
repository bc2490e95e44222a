"""A model as a new version in a Triton model repository."""

import os
import shutil
from pathlib import Path

import onnx
import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.integrations import triton

from ..cli.command import contents
from ..sample_paths import MLP, mlp

CONFIG = 'name: "digits"\nbackend: "onnxruntime"  # served by it\nmax_batch_size: 8\r\n'


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The folder of a model in a repository, with versions 1 and 9; and what Triton takes for none."""
    folder = tmp_path / "repository" / "digits"
    for version in ("1", "9"):
        (folder / version).mkdir(parents=True)
        shutil.copy(MLP, folder / version / "model.onnx")
    for name in ("0", "old", "012"):
        (folder / name).mkdir()
    (folder / "config.pbtxt").write_bytes(CONFIG.encode())
    return folder


def edited(folder: Path, *, data: bool = False) -> Path:
    model = mlp()
    model.graph.initializer[0].raw_data = b"\0" * len(model.graph.initializer[0].raw_data)
    onnx.save(model, folder / "e.onnx", save_as_external_data=data, location="e.onnx.data", size_threshold=0)
    return folder / "e.onnx"


@pytest.mark.parametrize("data", [False, True], ids=["one file", "a data file"])
def test_a_new_version_beside_the_others(repository: Path, tmp_path: Path, data: bool) -> None:
    before, model = contents(repository), edited(tmp_path, data=data)
    assert triton.add_version(model, repository) == repository / "10"
    after = contents(repository)
    new = {name: after.pop(name) for name in after.keys() - before.keys()}
    assert after == before
    expected = {"10/model.onnx": model.read_bytes()}
    if data:
        expected["10/e.onnx.data"] = (tmp_path / "e.onnx.data").read_bytes()
    assert new == expected
    assert triton.versions(repository) == [1, 9, 10]
    triton.add_version(model, repository, 3)
    assert triton.versions(repository) == [1, 3, 9, 10]
    assert not [path for path in repository.iterdir() if path.name.startswith(".")]


def test_the_file_is_called_as_the_configuration_says(repository: Path, tmp_path: Path) -> None:
    (repository / "config.pbtxt").write_text(CONFIG + 'default_model_filename: "net.onnx"')
    assert (triton.add_version(edited(tmp_path), repository) / "net.onnx").is_file()


def test_a_repository_without_a_configuration_or_versions(repository: Path, tmp_path: Path) -> None:
    (repository / "config.pbtxt").unlink()
    triton.add_version(edited(tmp_path), repository)
    empty = tmp_path / "new"
    empty.mkdir()
    (empty / "config.pbtxt").write_text(CONFIG)
    assert triton.add_version(edited(tmp_path), empty) == empty / "1"


@pytest.mark.parametrize(
    ("config", "version", "model", "message"),
    [
        (CONFIG, 9, "e.onnx", r"9: exists already"),
        (CONFIG, 0, "e.onnx", "version 0: expected a whole number from 1 on"),
        (CONFIG, None, "other.onnx", r"its inputs are not those of .*9/model.onnx"),
        ('platform: "tensorrt_plan"', None, "e.onnx", "is served by 'tensorrt_plan', not by ONNX Runtime"),
        ('default_model_filename: "../x"', None, "e.onnx", "'../x' is no file name"),
        (CONFIG, None, "none.onnx", "none.onnx: no such file"),
    ],
)
def test_what_is_refused(
    repository: Path, tmp_path: Path, config: str, version: int | None, model: str, message: str
) -> None:
    (repository / "config.pbtxt").write_text(config)
    edited(tmp_path)
    other = mlp()
    other.graph.input[0].name = other.graph.node[0].input[0] = "image"
    onnx.save(other, tmp_path / "other.onnx")
    before = contents(tmp_path)
    with pytest.raises(InputError, match=message):
        triton.add_version(tmp_path / model, repository, version)
    assert contents(tmp_path) == before


def test_a_folder_that_is_no_model_repository(tmp_path: Path) -> None:
    model = edited(tmp_path)
    for folder, message in ((tmp_path, "no model's folder of a Triton"), (tmp_path / "x", "cannot be read")):
        with pytest.raises(InputError, match=message):
            triton.add_version(model, folder)
    (tmp_path / "1").mkdir()
    with pytest.raises(InputError, match=r"neither config\.pbtxt nor VERSION/model.onnx"):
        triton.add_version(model, tmp_path)


def test_a_version_is_there_whole_or_not_at_all(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, before = edited(tmp_path, data=True), contents(repository)
    seen: list[list[int]] = []

    def full(*_: object) -> None:
        seen.append(triton.versions(repository))
        raise OSError(28, "No space left on device")

    for name in ("fsync", "rename"):
        with monkeypatch.context() as patched:
            patched.setattr(os, name, full)
            with pytest.raises(InputError, match=r"10: cannot be written \(No space left on device\)"):
                triton.add_version(model, repository)
        assert contents(repository) == before
        assert triton.versions(repository) == [1, 9]
    assert seen == [[1, 9]] * 2
