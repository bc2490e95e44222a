"""What the bytes of an edited model depend on, as its report says: not on batches, nor on threads."""

from pathlib import Path
from typing import Any

import killed_batch
import numpy as np
import pytest

from onnxunlearn import unlearn
from onnxunlearn.engines import onnxruntime


def edited(folder: Path, **options: Any) -> bytes:
    asked: dict[str, Any] = {"method": "lra-npp", "parameters": {"k": 4}, **options}
    result = unlearn(folder / "device0.onnx", 3, folder / "probes.npz", **asked)
    assert "The batch size is one of the options" in result.report["note"]
    return result.model_bytes


def test_batches_and_threads_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed_batch.make(tmp_path, 1)
    found = edited(tmp_path)
    assert found != (tmp_path / "device0.onnx").read_bytes()
    assert edited(tmp_path, batch_size=7) == found
    usual, threads = onnxruntime._options, []

    def with_threads() -> Any:
        options = usual()
        options.intra_op_num_threads = 3
        threads.append(options)
        return options

    monkeypatch.setattr(onnxruntime, "_options", with_threads)
    assert edited(tmp_path) == found
    assert threads


def test_other_probes_do(tmp_path: Path) -> None:
    """So that the bytes above are not the same whatever is given."""
    killed_batch.make(tmp_path, 1)
    found = edited(tmp_path)
    x = np.load(tmp_path / "probes.npz")["x"]
    np.savez(tmp_path / "probes.npz", x=x[::-1] * np.float32(1.5))
    assert edited(tmp_path) != found
