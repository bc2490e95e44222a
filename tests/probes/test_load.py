import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto as T
from PIL import Image

from onnxunlearn.errors import InputError
from onnxunlearn.graph import load
from onnxunlearn.probes import Probes, load_probes

from .tiny_models import IMAGES, samples, tiny_model

MODEL = tiny_model(IMAGES)
PAIR = tiny_model(("a", T.FLOAT, [1, 2]), ("b", T.INT64, [1]))
X = samples(6, 1, 4, 4)
Y = np.array([0, 1, 2, 0, 1, 2])


def assert_is_x_and_y(probes: Probes, source: str) -> None:
    np.testing.assert_array_equal(probes.feeds["x"], X)
    np.testing.assert_array_equal(probes.y, Y)
    assert probes.feeds["x"].dtype == np.float32
    assert probes.source == source


@pytest.mark.parametrize("as_path", [str, Path])
def test_npz(tmp_path: Path, as_path: type) -> None:
    path = tmp_path / "probes.npz"
    np.savez_compressed(path, x=X.astype(np.float64), y=Y)
    assert_is_x_and_y(load_probes(as_path(path), MODEL, 3), str(path))


def test_npy(tmp_path: Path) -> None:
    path = tmp_path / "probes.npy"
    np.save(path, X)
    probes = load_probes(path, MODEL, 3)
    np.testing.assert_array_equal(probes.feeds["x"], X)
    assert probes.y is None
    with pytest.raises(InputError, match="one array, but the model has inputs 'a', 'b'"):
        load_probes(path, PAIR, 3)


def test_script(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "loader.py"
    path.write_text(
        "import numpy as np\n"
        "def make():\n"
        "    x = np.arange(96.0).reshape(6, 1, 4, 4)\n"
        "    for start in (0, 4):\n"
        "        print('batch', start)\n"
        "        yield {'x': x[start : start + 4], 'y': (np.arange(6) % 3)[start : start + 4]}\n"
    )
    assert_is_x_and_y(load_probes(f"{path}:make", MODEL, 3), f"{path}:make")
    assert capfd.readouterr() == ("", "batch 0\nbatch 4\n")


def test_a_script_batch_that_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "loader.py"
    path.write_text("def make():\n    return {'x': [1.0]}\n")
    with pytest.raises(
        InputError, match=r"loader\.py:make batch 0: input 'x' has shape 1, the model takes N × 1"
    ):
        load_probes(f"{path}:make", MODEL, 3)


def image_folder(folder: Path) -> Path:
    for number, name in enumerate(("cat", "dog", "2")):
        (folder / name).mkdir(parents=True)
        Image.new("RGB", (9, 7), (51 * number,) * 3).save(folder / name / "a.png")
    return folder


def test_image_folder(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "photos")
    probes = load_probes(folder, MODEL, 3, labels=["cat", "dog", "fish"])
    assert probes.feeds["x"].shape == (3, 1, 4, 4)
    assert probes.y is not None
    assert probes.y.tolist() == [2, 0, 1]
    np.testing.assert_allclose(probes.feeds["x"][:, 0, 0, 0], [0.4, 0, 0.2], rtol=1e-6)
    assert probes.source == str(folder)


def test_image_folder_with_preprocessing(tmp_path: Path) -> None:
    folder, steps = image_folder(tmp_path / "photos"), tmp_path / "steps.json"
    steps.write_text('{"scale": 1, "mean": 51}')
    probes = load_probes(folder, MODEL, 3, preprocess=steps, labels=["cat", "dog", "fish"])
    assert probes.feeds["x"][:, 0, 0, 0].tolist() == [51, -51, 0]
    steps.write_text('{"size": 5}')
    with pytest.raises(InputError, match="shape 3 × 1 × 5 × 5, the model takes N × 1 × 4 × 4"):
        load_probes(folder, MODEL, 3, preprocess=steps, labels=["cat", "dog", "fish"])


def test_images_for_a_quantised_input(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = tiny_model(("x", T.UINT8, [1, 4, 4, 3]))
    probes = load_probes(image_folder(tmp_path / "photos"), model, 3, labels=["cat", "dog", "fish"])
    assert probes.feeds["x"].dtype == np.uint8
    assert probes.feeds["x"][0, 0, 0].tolist() == [102, 102, 102]
    assert "values 0..255, without mean and std; --preprocess" in caplog.messages[0]


def test_image_folder_of_a_published_model(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies beside the model says how, not its declaration (0..1); a given file comes before it."""
    monkeypatch.setitem(sys.modules, "transformers", None)  # importing it takes seconds
    folder, published = image_folder(tmp_path / "photos"), tmp_path / "preprocessor_config.json"
    (tmp_path / "model.onnx").write_bytes(MODEL.data)
    model, names = load(tmp_path / "model.onnx"), ["cat", "dog", "fish"]
    config = {"image_processor_type": "ViTImageProcessor", "size": 4, "image_mean": 0.5, "image_std": 0.5}
    published.write_text(json.dumps(config))
    probes = load_probes(folder, model, 3, labels=names)
    assert caplog.messages == [f"images are prepared as {published} says; --preprocess takes another file"]
    plain = load_probes(folder, MODEL, 3, labels=names)
    np.testing.assert_allclose(probes.feeds["x"], plain.feeds["x"] * 2 - 1, atol=1e-6)
    assert caplog.messages[1:] == [
        f"{folder}: no preprocessing is given or lies beside the model: images become values 0..1, without "
        "mean and std; --preprocess FILE says otherwise"
    ]
    (tmp_path / "given.json").write_text("{}")
    probes = load_probes(folder, model, 3, preprocess=tmp_path / "given.json", labels=names)
    np.testing.assert_array_equal(probes.feeds["x"], plain.feeds["x"])
    assert len(caplog.messages) == 2
    published.write_text(json.dumps({**config, "image_processor_type": "DPTImageProcessor"}))
    with pytest.raises(InputError, match="DPTImageProcessor is not among"):
        load_probes(folder, model, 3, labels=names)
    assert len(load_probes(X, model, 3)) == 6  # arrays are prepared already


def test_an_image_folder_feeds_one_input_only(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a folder of images, but the model has inputs 'a', 'b'"):
        load_probes(image_folder(tmp_path / "photos"), PAIR, 3)


def test_in_memory() -> None:
    assert_is_x_and_y(load_probes({"x": X, "y": Y}, MODEL, 3), "arrays in memory")
    assert load_probes(X, MODEL, 3).y is None
    pair = load_probes({"a": samples(3, 2), "b": [1, 2, 3]}, PAIR, 3)
    assert pair.feeds["b"].tolist() == [1, 2, 3]


def test_probes_are_checked_again() -> None:
    probes = load_probes({"x": X, "y": Y}, MODEL, 3)
    assert_is_x_and_y(load_probes(probes, MODEL, 3), "arrays in memory")
    with pytest.raises(InputError, match="y is 2"):
        load_probes(probes, MODEL, 2)
    with pytest.raises(InputError, match="no array for input 'a'"):
        load_probes(probes, PAIR, 3)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere.npz", r"'nowhere\.npz': no such file; give an \.npz or \.npy"),
        ("", "'': no such file"),
        ("a\0b", "no such file"),
        ("x" * 5000, "no such file"),
        ("nowhere.py:make", "no such script"),
        (3, "probes cannot be a int"),
        (None, "probes cannot be a NoneType"),
    ],
)
def test_sources_that_do_not_exist(source: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_probes(source, MODEL, 3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("probes.csv", r"unknown kind of file '\.csv'"),
        ("probes", "unknown kind of file ''"),
        ("loader.py", r"which function\? give .*loader\.py:function"),
    ],
)
def test_files_of_another_kind(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(InputError, match=message):
        load_probes(tmp_path / name, MODEL, 3)


def test_options_that_do_not_apply_are_not_ignored() -> None:
    with pytest.raises(InputError, match="preprocessing is for image folders"):
        load_probes(X, MODEL, 3, preprocess="steps.json")
    with pytest.raises(InputError, match="2 labels for a model with 3 classes"):
        load_probes(X, MODEL, 3, labels=["cat", "dog"])


def test_pillow_is_not_needed_for_anything_else() -> None:
    code = "import sys; sys.modules['PIL'] = None; import onnxunlearn.probes"
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    )
