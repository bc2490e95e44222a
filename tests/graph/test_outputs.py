"""Where results may be written: never over what is read, by whatever name."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.graph import Model, check_output, input_files, load
from onnxunlearn.graph.outputs import check_not_read

from .models import assert_one_line, dense, external, numbers, tensor


@pytest.fixture
def model(tmp_path: Path) -> Model:
    path = tmp_path / "m.onnx"
    path.write_bytes(dense(tensor("w", numbers(4, 3))).SerializeToString())
    return load(path)


def refused(model: Model, out: Path, overwrite: bool, *parts: object) -> None:
    with pytest.raises(InputError) as caught:
        check_output(out, input_files(model), overwrite)
    assert_one_line(caught.value, out, *parts)


def test_a_new_file(model: Model, tmp_path: Path) -> None:
    assert check_output(tmp_path / "out.onnx", input_files(model)) == tmp_path / "out.onnx"
    assert check_output(str(tmp_path / "out.onnx"), {}) == tmp_path / "out.onnx"
    assert not (tmp_path / "out.onnx").exists()


def test_what_is_no_file(model: Model, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    refused(model, tmp_path / "pipe", True, "is a device or a pipe")
    refused(model, Path(os.devnull), True, "is a device or a pipe")


@pytest.mark.skipif(not os.path.exists("/proc/self/fd/1"), reason="there is no /proc")
def test_what_stands_for_an_open_file(model: Model, tmp_path: Path) -> None:
    """/dev/stdout is such a link: to a regular file where the shell was told `> file`."""
    with (tmp_path / "open").open("wb") as file:
        link = tmp_path / "stdout"
        link.symlink_to(f"/proc/{os.getpid()}/fd/{file.fileno()}")
        refused(model, link, True, "is a device or a pipe")
    (tmp_path / "link").symlink_to(tmp_path / "open")
    assert check_output(tmp_path / "link", {}, overwrite=True) == tmp_path / "link"


@pytest.mark.parametrize(
    ("name", "message"),
    [("", "the path of an output is empty"), ("new/", "new/: is the name of a folder; give the path of")],
)
def test_names_of_no_file(name: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        check_output(name, {})
    assert_one_line(caught.value, message)


def test_a_folder_without_permission(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    refused(model, tmp_path / "out.onnx", False, f"the folder {tmp_path} cannot be written")


def test_a_new_file_for_a_model_of_bytes(tmp_path: Path) -> None:
    inputs = input_files(load(dense(tensor("w", numbers(4, 3))).SerializeToString()))
    assert inputs == {}
    check_output(tmp_path / "out.onnx", inputs)


@pytest.mark.parametrize("way", ["itself", "roundabout", "symlink", "hard link"])
def test_the_input_is_never_written(model: Model, tmp_path: Path, way: str) -> None:
    assert model.path is not None
    out = tmp_path / ("m.onnx" if way == "itself" else "out.onnx")
    if way == "roundabout":
        (tmp_path / "below").mkdir()
        out = tmp_path / "below" / ".." / "m.onnx"
    elif way == "symlink":
        out.symlink_to("m.onnx")
    elif way == "hard link":
        os.link(model.path, out)
    refused(model, out, True, "is the input model, which is never written")


def test_the_inputs_external_data_is_never_written(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(numbers(4, 3).tobytes())
    (tmp_path / "m.onnx").write_bytes(dense(external("w", "w.bin", [4, 3])).SerializeToString())
    refused(load(tmp_path / "m.onnx"), tmp_path / "w.bin", True, "is part of the input model")


def test_what_names_its_classes_is_never_written(tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "m.onnx").write_bytes(dense(tensor("w", numbers(4, 3))).SerializeToString())
    (tmp_path / "config.json").write_text("{}")
    refused(
        load(tmp_path / "onnx" / "m.onnx"), tmp_path / "config.json", True, "is the input model's config.json"
    )


def test_an_existing_file_needs_overwrite(model: Model, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    out.touch()
    refused(model, out, False, "exists already", "--overwrite")
    assert check_output(out, input_files(model), overwrite=True) == out


def test_an_input_that_is_gone(model: Model, tmp_path: Path) -> None:
    assert model.path is not None
    model.path.unlink()
    (tmp_path / "out.onnx").touch()
    check_output(tmp_path / "out.onnx", input_files(model), overwrite=True)


def test_what_cannot_be_written(model: Model, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused(model, tmp_path, True, "is a folder")
    refused(model, tmp_path / "missing" / "out.onnx", True, tmp_path / "missing", "does not exist")
    refused(model, tmp_path / "file" / "out.onnx", True, "is no folder")
    refused(model, tmp_path / ("m" * 300), True, "cannot be written")


LINKS: list[Callable[[Path, Path], None]] = [os.link, os.symlink]


@pytest.mark.parametrize("link", LINKS)
def test_whatever_is_read_is_never_written(tmp_path: Path, link: Callable[[Path, Path], None]) -> None:
    for name in ("labels.txt", "other.txt"):
        (tmp_path / name).write_text("mine")
    inputs = {tmp_path / "labels.txt": "an input (--labels)", tmp_path / "gone": "an input (--data)"}
    link(tmp_path / "labels.txt", tmp_path / "out.onnx")
    for out in (tmp_path / "labels.txt", tmp_path / "out.onnx"):
        with pytest.raises(InputError) as caught:
            check_output(out, inputs, overwrite=True)
        assert_one_line(caught.value, out, "is an input (--labels), which is never written")
    assert check_output(tmp_path / "other.txt", inputs, overwrite=True) == tmp_path / "other.txt"


def test_a_folder_that_is_read_stands_for_the_images_in_it(tmp_path: Path) -> None:
    (tmp_path / "images" / "3").mkdir(parents=True)
    image = tmp_path / "images" / "3" / "a.png"
    image.write_bytes(b"mine")
    os.link(image, tmp_path / "a.png")
    inputs = {tmp_path / "images": "an input (--data)"}
    for path in (tmp_path / "images", image, tmp_path / "a.png"):
        with pytest.raises(InputError, match="is an input"):
            check_not_read(path, inputs)
    (tmp_path / "b.png").write_bytes(b"mine")
    check_not_read(tmp_path / "b.png", inputs)


@pytest.mark.parametrize(
    "name", ["o" * 300, "ö" * 200, f"{'f' * 300}/out.onnx", "a\0b"], ids=["bytes", "utf8", "folder", "null"]
)
def test_what_nothing_can_be_called(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as caught:
        check_output(tmp_path / name, {})
    assert_one_line(caught.value, "cannot be written", "give another path with -o")
