"""A few inputs for the report's page, or the reason why there are none."""

import io
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from onnxunlearn.graph import Model, find_logits, load
from onnxunlearn.pictures import heatmaps
from onnxunlearn.probes import Labels
from onnxunlearn.render import Relevance

from ..graph.models import dense, numbers, tensor
from ..sample_paths import CNN, MLP, probes


def drawn(model: Any = MLP, data: Any = None, forget: tuple[int, ...] = (3,), **options: Any) -> Relevance:
    loaded = model if isinstance(model, Model) else load(model)
    labels = Labels(find_logits(loaded).classes)
    return heatmaps(loaded, loaded, probes() if data is None else data, forget, labels, **options)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_the_first_inputs_of_the_class_before_and_after() -> None:
    found = drawn(CNN)
    assert found.why_not == ""
    assert len(found.samples) == 4
    for sample in found.samples:
        given, before, after = sample.pictures
        assert pixels(given.png).shape == (28, 28, 3)
        assert pixels(before.png).shape == (28, 28, 4)
        assert before.png == after.png  # of one model
        assert before.alt.startswith("Relevance for class 3 in the original model: ")
        assert sample.said.startswith("original: class ")
    arrays = probes()
    shown = pixels(found.samples[0].pictures[0].png)[..., 0]
    assert np.corrcoef(shown.ravel(), arrays["x"][arrays["y"] == 3][0].ravel())[0, 1] > 0.999  # as it is


def test_what_is_neutral_is_transparent_so_that_it_fits_any_paper() -> None:
    alpha = pixels(drawn(CNN).samples[0].pictures[1].png)[..., 3]
    assert alpha.min() == 0
    assert alpha.max() == 255


def test_the_page_stays_small() -> None:
    found = drawn(CNN)
    assert sum(len(picture.png) for sample in found.samples for picture in sample.pictures) < 50_000


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"data": {"x": np.zeros((4, 1, 28, 28), np.float32)}}, "no input is labelled class 3"),
        ({"data": "nowhere.npz"}, "nowhere.npz"),
        (
            {"model": load(dense(tensor("w", numbers(4, 3))).SerializeToString()), "forget": (1,)},
            "no images but table",
        ),
    ],
    ids=["without labels", "no file", "a table"],
)
def test_no_page_fails_for_want_of_a_picture(options: dict[str, Any], why: str) -> None:
    found = drawn(**options)
    assert found.samples == ()
    assert found.why_not.startswith("Not shown: ")
    assert why in found.why_not
    assert "\n" not in found.why_not


def test_without_inputs_or_through_a_pipe_there_are_none(tmp_path: Path) -> None:
    model = load(MLP)
    assert "no inputs were given" in heatmaps(model, model, None, (3,), Labels(10)).why_not
    os.mkfifo(tmp_path / "p.npz")
    assert "through a pipe" in drawn(data=str(tmp_path / "p.npz")).why_not  # and does not wait for it


def test_without_pillow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    room = sys.modules["onnxunlearn.pictures.heatmaps"]
    monkeypatch.setattr(room, "find_spec", lambda name: None if name == "PIL" else find_spec(name))
    assert "pip install 'onnxunlearn[images]'" in drawn().why_not


def test_images_from_a_folder_have_the_colours_of_their_files(tmp_path: Path) -> None:
    (tmp_path / "photos" / "3").mkdir(parents=True)
    given = np.random.default_rng(0).integers(40, 90, (28, 28), dtype=np.uint8)
    Image.fromarray(given).save(tmp_path / "photos" / "3" / "a.png")
    steps = tmp_path / "steps.json"
    steps.write_text('{"mean": 0.5, "std": 0.25}')
    found = drawn(CNN, tmp_path / "photos", preprocess=steps)
    np.testing.assert_array_equal(pixels(found.samples[0].pictures[0].png)[..., 0], given)
