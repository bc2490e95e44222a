"""Texts from files and pipes, of a size that a person writes."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.text import parse_json, read_text


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes("\ufeffä\r\nb\rc\n".encode())
    assert read_text(tmp_path / "t") == read_text(str(tmp_path / "t")) == "ä\nb\nc\n"


def through(write: Callable[[int], None], name: Callable[[int], str]) -> str:
    """What is read at `name` of the reading end while `write` writes into the other."""
    reader, writer = os.pipe()

    def work() -> None:
        try:
            write(writer)
        except BrokenPipeError:
            pass
        finally:
            os.close(writer)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        return read_text(name(reader))
    finally:
        os.close(reader)
        thread.join()


def write_all(end: int, text: str) -> None:
    os.writev(end, [text.encode()])


def test_a_pipe() -> None:
    """More than it holds at a time, as `<(command)` gives it."""
    text = "name\n" * 50_000
    assert through(lambda end: write_all(end, text), lambda end: f"/dev/fd/{end}") == text


def test_a_fifo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    thread = threading.Thread(target=(tmp_path / "fifo").write_text, args=("cat\ndog\n",))
    thread.start()
    assert read_text(tmp_path / "fifo") == "cat\ndog\n"
    thread.join()


def endless(end: int) -> None:
    while True:
        os.write(end, bytes(1 << 16))


def test_no_more_than_a_person_writes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="longer than 16 MiB"):
        through(endless, lambda end: f"/dev/fd/{end}")
    with pytest.raises(InputError, match="longer than 16 MiB"):
        read_text("/dev/zero")
    with open(tmp_path / "large", "wb") as file:
        file.truncate(2**24 + 1)
    with pytest.raises(InputError, match="longer than 16 MiB"):
        read_text(tmp_path / "large")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone", "no such file"),
        ("a\0b", "no such file"),
        (".", "is a folder"),
        ("bytes", "not UTF-8 text"),
        ("bytes/below", "cannot be read (Not a directory)"),
        ("n" * 300, "cannot be read (File name too long)"),
        ("circle", "cannot be read (Too many levels of symbolic links)"),
    ],
    ids=["gone", "null", "folder", "bytes", "below", "long", "circle"],
)
def test_what_is_none(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(InputError) as caught:
        read_text(tmp_path / name)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "nul"])
def test_json_that_is_none(text: str) -> None:
    with pytest.raises(InputError, match=r"^f: not valid JSON"):
        parse_json(text, Path("f"))
