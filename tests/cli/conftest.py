import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from ..sample_paths import MLP, probes


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with `m.onnx` (mnist_mlp) and a few labelled `probes.npz`."""
    shutil.copy(MLP, tmp_path / "m.onnx")
    arrays = probes()
    np.savez(tmp_path / "probes.npz", x=arrays["x"], y=arrays["y"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No line on what is being done, which a busy machine would print where nothing is expected."""
    console = import_module("onnxunlearn.cli.console")  # installed under another name than it lies at
    monkeypatch.setattr(console, "INTERVAL", 3600.0)
