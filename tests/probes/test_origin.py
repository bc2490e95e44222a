"""What reports say of where probes come from: enough to know them again, and no folder."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from onnxunlearn.digests import sha256_of_arrays
from onnxunlearn.errors import InputError
from onnxunlearn.probes import Probes, load_probes, source_files
from onnxunlearn.probes.origin import from_file

from .tiny_models import IMAGES, samples, tiny_model

MODEL = tiny_model(IMAGES)
X, Y = samples(6, 1, 4, 4), np.array([0, 1, 2, 0, 1, 2])
ARRAYS = sha256_of_arrays({"x": X, "": Y})


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "probes.npz"
    np.savez(path, x=X, y=Y)
    probes = load_probes(path, MODEL, 3)
    content = path.read_bytes()
    assert probes.origin == {
        "source": "probes.npz",
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }
    np.save(tmp_path / "x.npy", X)
    assert load_probes(tmp_path / "x.npy", MODEL, 3).origin["source"] == "x.npy"


def test_a_folder_of_images(tmp_path: Path) -> None:
    lines = []
    for number in range(3):
        path = tmp_path / "images" / str(number) / "a.png"
        path.parent.mkdir(parents=True)
        Image.new("L", (4, 4), 50 * number).save(path)
        lines.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {number}/a.png\n")
    expected = hashlib.sha256("".join(lines).encode()).hexdigest()
    for folder in (tmp_path / "images", f"{tmp_path}/images/"):
        origin = load_probes(folder, MODEL, 3).origin
        assert origin == {"source": "images", "sha256": expected, "files": 3}
    Image.new("L", (4, 4), 51).save(tmp_path / "images" / "1" / "a.png")
    assert load_probes(tmp_path / "images", MODEL, 3).origin["sha256"] != expected


def test_a_folder_called_by_a_dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "images" / "0").mkdir(parents=True)
    Image.new("L", (4, 4)).save(tmp_path / "images" / "0" / "a.png")
    monkeypatch.chdir(tmp_path / "images")
    assert load_probes(".", MODEL, 3).origin["source"] == "images"


def test_a_script(tmp_path: Path) -> None:
    path = tmp_path / "loader.py"
    path.write_text(
        "import numpy as np\n"
        "def make():\n"
        "    x = np.arange(96.0).reshape(6, 1, 4, 4)\n"
        "    return {'x': x, 'y': np.arange(6) % 3}\n"
    )
    assert load_probes(f"{path}:make", MODEL, 3).origin == {
        "source": "loader.py:make",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "bytes": path.stat().st_size,
        "arrays": ARRAYS,
    }


def test_memory() -> None:
    assert load_probes({"x": X, "y": Y}, MODEL, 3).origin == {"source": "arrays in memory", "arrays": ARRAYS}
    assert load_probes(X, MODEL, 3).origin["arrays"] == sha256_of_arrays({"x": X})
    given = load_probes(Probes({"x": X}, Y, "/home/me/p.npz"), MODEL, 3)
    assert given.origin == {"source": "p.npz", "arrays": ARRAYS}


def test_probes_that_were_loaded_before_keep_it(tmp_path: Path) -> None:
    np.savez(tmp_path / "probes.npz", x=X, y=Y)
    probes = load_probes(tmp_path / "probes.npz", MODEL, 3)
    assert load_probes(probes, MODEL, 3).origin == probes.origin
    assert probes.select([0, 1]).origin == probes.origin
    json.dumps(probes.origin)


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.npz: cannot be read"):
        from_file(Probes({"x": X}, Y, "p"), tmp_path / "gone.npz")


def test_the_files_that_a_source_names() -> None:
    assert source_files("a/p.npz") == [Path("a/p.npz")]
    assert source_files(Path("images")) == [Path("images")]
    assert source_files(f"a{os.sep}loader.py:make") == [Path("a/loader.py")]
    assert source_files(X) == source_files(None) == []
