"""Inputs and what is where in them, from arrays, scripts and folders; what does not fit is one line."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from onnxunlearn.errors import InputError
from onnxunlearn.graph import load
from onnxunlearn.probes import Labels, Probes
from onnxunlearn.probes.places import NOTHING_SAID, Scenes, read_scenes

from ...patterns import MODEL, NAMES, SIDE, scenes

MODEL_READ, LABELS = load(MODEL), Labels(5, NAMES)
FEW = scenes(3, 0)


def read(source: object) -> Scenes:
    return read_scenes(source, MODEL_READ, LABELS)  # type: ignore[arg-type]


def test_arrays_with_maps(tmp_path: Path) -> None:
    found = read(FEW)
    assert found.given
    assert found.truth is not None
    np.testing.assert_array_equal(found.truth, FEW["y"])
    np.savez(tmp_path / "a.npz", x=FEW["x"], masks=FEW["y"].astype(np.uint8))
    of_file = read(str(tmp_path / "a.npz"))
    np.testing.assert_array_equal(of_file.truth, FEW["y"])
    assert of_file.probes.origin["source"] == "a.npz"
    assert "sha256" in of_file.probes.origin


def test_inputs_alone() -> None:
    for source in ({"x": FEW["x"]}, FEW["x"], Probes({"x": FEW["x"]}, None, "mine")):
        found = read(source)
        assert found.truth is None
        assert not found.given


def test_where_nothing_is_said(tmp_path: Path) -> None:
    y = FEW["y"].copy()
    y[0, 0, :3] = 255, -100, -1
    found = read({"x": FEW["x"], "y": y})
    assert found.truth is not None
    assert found.truth[0, 0, :3].tolist() == [NOTHING_SAID] * 3


def test_a_script(tmp_path: Path) -> None:
    script = tmp_path / "give.py"
    script.write_text(
        "import numpy as np\n\ndef batches():\n    for i in range(2):\n"
        "        yield {'x': np.zeros((2, 1, 16, 16), np.float32) + i, 'y': np.full((2, 16, 16), i)}\n"
    )
    found = read(f"{script}:batches")
    assert found.truth is not None
    assert found.truth[:, 0, 0].tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (np.full((3, SIDE, SIDE), 7), "y: holds the class 7, expected an index 0..4; 255 or -100 where"),
        (
            np.zeros((2, SIDE, SIDE), int),
            "y has shape 2 × 16 × 16; expected a class number for each",
        ),
        (np.zeros(3, int), "y has shape 3; expected"),
        (np.full((3, SIDE, SIDE), 0.5), "must be class numbers, not float64"),
    ],
)
def test_maps_that_make_no_sense(y: np.ndarray, said: str) -> None:
    with pytest.raises(InputError) as found:
        read({"x": FEW["x"], "y": y})
    assert said in str(found.value)


def test_maps_of_another_size_than_the_models() -> None:
    found = read({"x": FEW["x"], "y": FEW["y"][:, :8]})
    with pytest.raises(InputError, match="its masks are 8 × 16, the model says 16 × 16 places"):
        found.said(FEW["y"])


@pytest.mark.parametrize("times", [(1, 1), (2, 2), (4, 4), (3, 1)])
def test_of_larger_maps_the_middle_of_each_place_is_taken(times: tuple[int, int]) -> None:
    large = np.kron(FEW["y"], np.ones((1, *times), FEW["y"].dtype))
    found = read({"x": FEW["x"], "y": large}).said(np.zeros_like(FEW["y"]))
    np.testing.assert_array_equal(found.truth, FEW["y"])


def test_two_maps_and_classes_of_samples_are_refused() -> None:
    with pytest.raises(InputError, match="holds 'y' and 'masks'; give one of them"):
        read({**FEW, "masks": FEW["y"]})
    with pytest.raises(InputError, match="gives a class a sample"):
        read(Probes({"x": FEW["x"]}, np.zeros(3, int), "mine"))


def test_what_a_mask_leaves_out_is_no_place() -> None:
    tokens = Probes(
        {"ids": np.zeros((2, 3), int), "attention_mask": np.array([[1, 1, 0], [1, 0, 0]])}, None, ""
    )
    found = Scenes(tokens, None, False).said(np.array([[1, 2, 3], [0, 0, 0]]))
    assert found.truth is not None
    assert found.truth.tolist() == [[1, 2, -1], [0, -1, -1]]


def images(folder: Path, count: int = 3, suffix: str = ".png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        pixels = np.full((SIDE, SIDE), 40 * i, np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}{suffix}")
    return folder


def masks(folder: Path, count: int = 3, side: int = SIDE) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        Image.fromarray(np.full((side, side), i, np.uint8)).save(folder / f"{i}.png")


@pytest.mark.parametrize("inside", ["", "images"])
def test_a_folder_with_masks_in_theirs(tmp_path: Path, inside: str) -> None:
    images(tmp_path / inside)
    masks(tmp_path / "masks")
    found = read(str(tmp_path))
    assert found.given
    assert found.truth is not None
    assert found.truth[:, 3, 3].tolist() == [0, 1, 2]
    assert found.probes.origin["files"] == 6


def test_a_folder_with_masks_beside_the_images(tmp_path: Path) -> None:
    images(tmp_path, suffix=".jpg")
    masks(tmp_path)
    found = read(str(tmp_path))
    assert found.truth is not None
    assert found.truth[:, 3, 3].tolist() == [0, 1, 2]


def test_a_folder_of_images_alone(tmp_path: Path) -> None:
    found = read(str(images(tmp_path)))
    assert found.truth is None
    assert len(found) == 3


def test_a_mask_with_a_palette_holds_its_indices(tmp_path: Path) -> None:
    images(tmp_path, 1)
    (tmp_path / "masks").mkdir()
    mask = Image.fromarray(np.full((SIDE, SIDE), 3, np.uint8), "P")
    mask.putpalette([10, 20, 30] * 256)
    mask.save(tmp_path / "masks" / "0.png")
    found = read(str(tmp_path))
    assert found.truth is not None
    assert (found.truth == 3).all()


def test_folders_that_make_no_sense(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="empty: no images"):
        read(str(empty))
    some = images(tmp_path / "some")
    masks(some / "masks", 2)
    with pytest.raises(InputError, match=r"2\.png: has no mask, others have"):
        read(str(some))
    other = images(tmp_path / "other", 2)
    masks(other / "masks", 2)
    masks(other / "masks", 1, side=8)
    with pytest.raises(InputError, match=r"1\.png: the mask is 16 × 16, 0\.png is 8 × 8"):
        read(str(other))
    coloured = images(tmp_path / "coloured", 1)
    (coloured / "masks").mkdir()
    Image.fromarray(np.zeros((SIDE, SIDE, 3), np.uint8)).save(coloured / "masks" / "0.png")
    with pytest.raises(InputError, match="in grey or by a palette, and this is RGB"):
        read(str(coloured))
    (coloured / "masks" / "0.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"0\.png: not a readable mask"):
        read(str(coloured))
