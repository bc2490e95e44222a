"""A file is written whole or not at all, and nothing else is left."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.graph import permissions_of, replacing, write_atomically

from .models import assert_one_line


def test_a_whole_file_or_none(tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    write_atomically(out, b"first")
    assert out.read_bytes() == b"first"
    write_atomically(out, b"second")
    assert out.read_bytes() == b"second"
    assert os.listdir(tmp_path) == ["out.onnx"]


def disk_full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("before", [None, b"before"])
def test_nothing_is_left_behind_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, before: bytes | None
) -> None:
    out = tmp_path / "out.onnx"
    if before is not None:
        out.write_bytes(before)
    monkeypatch.setattr(os, call, disk_full)
    with pytest.raises(InputError) as caught:
        write_atomically(out, b"after")
    assert_one_line(caught.value, out, "No space left on device")
    assert os.listdir(tmp_path) == ([] if before is None else ["out.onnx"])
    assert before is None or out.read_bytes() == before


def test_nothing_is_left_behind_when_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "out.onnx", b"after")
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        write_atomically(tmp_path / "gone" / "out.onnx", b"")
    assert_one_line(caught.value, "gone", "cannot be written")


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600), (0, 0o666)])
def test_the_files_mode_honours_the_umask(tmp_path: Path, mask: int, mode: int) -> None:
    os.umask(mask)
    write_atomically(tmp_path / "out.onnx", b"")
    assert stat.S_IMODE((tmp_path / "out.onnx").stat().st_mode) == mode
    assert os.umask(mask) == mask, "it must stay as it was"


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(
    ("asked", "mask", "mode"),
    [
        (0o600, 0o022, 0o600),
        (0o640, 0o022, 0o640),
        (0o664, 0o022, 0o644),
        (0o400, 0, 0o400),
        (0o644, 0o077, 0o600),
    ],
)
def test_no_more_permissions_than_asked_for_at_any_time(
    tmp_path: Path, asked: int, mask: int, mode: int
) -> None:
    os.umask(mask)
    with replacing(tmp_path / "out.onnx", asked) as file:
        (temporary,) = tmp_path.iterdir()
        assert stat.S_IMODE(temporary.stat().st_mode) == mode
        file.write(b"x")
    assert stat.S_IMODE((tmp_path / "out.onnx").stat().st_mode) == mode


@pytest.mark.usefixtures("umask")
def test_what_others_could_not_read_they_cannot_read_now(tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    out.touch(0o600)
    write_atomically(out, b"new")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    (tmp_path / "link").symlink_to(out)
    write_atomically(tmp_path / "link", b"new")
    assert stat.S_IMODE((tmp_path / "link").stat().st_mode) == 0o666, "a link has no permissions of its own"


def test_permissions_of_what_is_copied(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").touch()
    (tmp_path / "m.onnx").chmod(0o4750)
    assert permissions_of(tmp_path / "m.onnx") == 0o750
    assert permissions_of(tmp_path / "gone") == permissions_of(None) == 0o666


def test_the_name_appears_last(tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    out.write_bytes(b"before")
    with replacing(out) as file:
        file.write(b"after")
        assert out.read_bytes() == b"before"
        (temporary,) = set(os.listdir(tmp_path)) - {"out.onnx"}
        assert temporary.startswith(".out.onnx.")
        assert temporary.endswith(".tmp")
    assert out.read_bytes() == b"after"
    assert os.listdir(tmp_path) == ["out.onnx"]


def test_one_file_that_fails_takes_the_other_with_it(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught, replacing(tmp_path / "report.json"):
        write_atomically(tmp_path / "gone" / "out.onnx", b"")
    assert_one_line(caught.value, tmp_path / "gone" / "out.onnx")
    assert os.listdir(tmp_path) == []


def test_a_link_is_replaced_and_what_it_leads_to_is_not(tmp_path: Path) -> None:
    (tmp_path / "original").write_bytes(b"before")
    out = tmp_path / "out.onnx"
    out.symlink_to("original")
    write_atomically(out, b"after")
    assert (tmp_path / "original").read_bytes() == b"before"
    assert not out.is_symlink()
    assert out.read_bytes() == b"after"


@pytest.mark.parametrize("name", ["o" * 240, "ö" * 110])
def test_long_names(tmp_path: Path, name: str) -> None:
    write_atomically(tmp_path / name, b"x")
    assert os.listdir(tmp_path) == [name]
