"""Sizes of memory, and what a model is taken to need."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

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


def test_activations_count_by_the_batch(tmp_path: Path) -> None:
    """The same few weights on more pixels: the file is no larger, its activations are."""

    def activations(pixels: int | None, *shapes: str) -> int:
        path = image_model(tmp_path, pixels)
        rest = memory.FLOOR + memory.FACTOR * path.stat().st_size
        return (memory.estimate(path, shapes, 32) - rest) // (memory.BATCHES * 4 * 32)

    for pixels in (8, 64):
        by_hand = 3 * pixels**2 + 2 * 5 * pixels**2 + 5 + 4
        assert activations(pixels) == by_hand
        assert activations(None, f"x:1,3,{pixels},{pixels}") == by_hand
    assert activations(None) < activations(8), "sizes that nobody gave count as 1"
    (tmp_path / "bad.onnx").write_bytes(b"junk")
    assert memory.estimate(tmp_path / "bad.onnx", (), 32) == memory.FLOOR + memory.FACTOR * 4


def image_model(folder: Path, pixels: int | None) -> Path:
    """Conv to 5 channels, Relu, mean, Gemm to 4 classes."""
    weights = {"w": (5, 3, 3, 3), "v": (5, 4)}
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["a"], ["r"]),
            helper.make_node("ReduceMean", ["r"], ["m"], axes=[2, 3], keepdims=0),
            helper.make_node("Gemm", ["m", "v"], ["y"]),
        ],
        "images",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, pixels, pixels])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(np.ones(s, np.float32), name) for name, s in weights.items()],
    )
    path = folder / f"{pixels}.onnx"
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def test_a_container_has_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in [("_LIMIT", "5000000"), ("_USED", "2000000")]:
        (tmp_path / name).write_text(f"{text}\n")
        monkeypatch.setattr(memory, name, tmp_path / name)
    assert memory.available() == 3_000_000
    (tmp_path / "_LIMIT").write_text("max\n")
    assert (memory.available() or 0) > 3_000_000
