"""Sizes of memory, and what a model is taken to need."""

from pathlib import Path

import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.fleet import memory, parse_memory


@pytest.mark.parametrize(
    ("text", "size"), [("8GiB", 8 << 30), ("500 MB", 500_000_000), ("1.5g", 1_500_000_000), ("4096", 4096)]
)
def test_a_size(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1GB", "0", "1.2.3GB", "5TBB"])
def test_no_size(text: str) -> None:
    with pytest.raises(InputError, match=r"expected e\.g\. 8GiB"):
        parse_memory(text)


def test_data_files_count(tmp_path: Path) -> None:
    for name, size in [("m.onnx", 10), ("m.onnx.data", 1000), ("m.onnx_data_1", 100), ("m2.onnx", 10**6)]:
        (tmp_path / name).write_bytes(b"\0" * size)
    assert memory.estimate(tmp_path / "m.onnx") == memory.FLOOR + memory.FACTOR * 1110
    assert memory.estimate(tmp_path / "gone.onnx") == memory.FLOOR


def test_a_container_has_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in [("_LIMIT", "5000000"), ("_USED", "2000000")]:
        (tmp_path / name).write_text(f"{text}\n")
        monkeypatch.setattr(memory, name, tmp_path / name)
    assert memory.available() == 3_000_000
    (tmp_path / "_LIMIT").write_text("max\n")
    assert (memory.available() or 0) > 3_000_000
