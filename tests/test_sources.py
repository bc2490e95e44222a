"""Every file that a call reads is known, so that nothing is written over it."""

from pathlib import Path

import numpy as np

from onnxunlearn.graph import load
from onnxunlearn.sources import files_read, model_files

from .sample_paths import MLP


def test_all_of_them() -> None:
    assert files_read("p.npz", "pre.json", "rules.yaml", "vocabulary.txt") == {
        Path("p.npz"): "the probes",
        Path("pre.json"): "the preprocessing file",
        Path("rules.yaml"): "the composite",
        Path("vocabulary.txt"): "the vocabulary",
    }
    assert set(files_read("load.py:make", None, "/dev/fd/63")) == {Path("load.py"), Path("/dev/fd/63")}


def test_what_is_no_file() -> None:
    assert files_read(np.zeros(3), None, "gamma(gamma=0.1)", ["a", "b"]) == {}
    assert files_read(None, None, None) == {}


def test_what_lies_beside_a_model(tmp_path: Path) -> None:
    for name in ("preprocessor_config.json", "config.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "m.onnx").write_bytes(Path(MLP).read_bytes())
    found = model_files(load(tmp_path / "m.onnx"))
    assert {path.name: what for path, what in found.items()} == {
        "m.onnx": "the input model",
        "config.json": "the input model's config.json",
        "preprocessor_config.json": "the input model's preprocessing",
    }
