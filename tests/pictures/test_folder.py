"""The folder: refusals, all or nothing, and what an overwrite removes."""

from pathlib import Path

import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.graph import input_files, load
from onnxunlearn.pictures.folder import MARK, check_folder, sheet_name, write_folder
from tests.pictures.models import table_model

PAGE = f"<html>{MARK}".encode()


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_folder_is_made(tmp_path: Path) -> None:
    folder = check_folder(tmp_path / "new", overwrite=False)
    assert not folder.exists()
    written = write_folder(folder, {"index.html": PAGE, sheet_name(3): b"png"}, {})
    assert names(folder) == ["class_3.png", "index.html"]
    assert [p.read_bytes() for p in written] == [PAGE, b"png"]


def test_refusals_leave_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        check_folder(tmp_path / "file", overwrite=True)
    with pytest.raises(InputError, match="does not exist"):
        check_folder(tmp_path / "a" / "b", overwrite=False)
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("name", ["index.html", "layers.png", "class_12.png"])
def test_earlier_pictures_are_kept(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"earlier")
    with pytest.raises(InputError, match=f"holds {name} already; add --overwrite"):
        check_folder(tmp_path, overwrite=False)
    assert check_folder(tmp_path, overwrite=True) == tmp_path


def test_other_files_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "class_a.png").write_bytes(b"not ours")
    assert check_folder(tmp_path, overwrite=False) == tmp_path


def test_an_overwrite_removes_sheets_of_our_earlier_page(tmp_path: Path) -> None:
    write_folder(tmp_path, {"index.html": PAGE, "class_1.png": b"1", "class_2.png": b"2"}, {})
    (tmp_path / "notes.txt").write_text("mine")
    write_folder(tmp_path, {"index.html": PAGE, "class_2.png": b"new"}, {})
    assert names(tmp_path) == ["class_2.png", "index.html", "notes.txt"]
    assert (tmp_path / "class_2.png").read_bytes() == b"new"


def test_an_overwrite_removes_nothing_beside_a_page_of_someone_else(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<html>mine")
    (tmp_path / "class_1.png").write_bytes(b"mine")
    write_folder(tmp_path, {"index.html": PAGE}, {})
    assert names(tmp_path) == ["class_1.png", "index.html"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxunlearn.pictures import folder

    def fails_on_page(path: Path, data: bytes) -> None:
        if path.name == "index.html":
            raise InputError(f"{path}: cannot be written (No space left on device)")
        path.write_bytes(data)

    monkeypatch.setattr(folder, "write_atomically", fails_on_page)
    with pytest.raises(InputError, match="No space"):
        write_folder(tmp_path / "new", {"index.html": PAGE, "class_1.png": b"1"}, {})
    assert names(tmp_path) == []


def test_the_model_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "class_1.png"
    path.write_bytes(table_model())
    with pytest.raises(InputError, match="input model"):
        write_folder(tmp_path, {"class_1.png": b"png"}, input_files(load(path)))
    assert path.read_bytes() == table_model()
