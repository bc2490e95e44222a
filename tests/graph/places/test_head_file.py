"""A file that says what a model says where; what is wrong in it is one line."""

from pathlib import Path

import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.graph.places import Columns, find_places, read_head

from ..models import loaded
from . import heads

MODEL = loaded(heads.segmenter(heads.channels_last))
WHOLE = """\
task: segmentation
output: y
scores: s
class_axis: 1
place_axes: [2, 3]
classes: 4
output_axis: 3
normaliser: Softmax
heads: [head]
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "head.yaml"
    path.write_text(text)
    return path


def test_it_says_what_would_have_been_told(tmp_path: Path) -> None:
    assert read_head(write(tmp_path, WHOLE), MODEL) == find_places(MODEL)


def test_it_says_more(tmp_path: Path) -> None:
    more = (
        "background: 0\nobjectness: {tensor: s, columns: [3]}\nboxes: {tensor: c2}\ncolumns: [[0, 1, 2, 3]]\n"
    )
    found = read_head(write(tmp_path, WHOLE + more), MODEL)
    assert found.background == 0
    assert found.objects == (1, 2, 3)
    assert found.objectness == (Columns("s", (3,)),)
    assert found.boxes == (Columns("c2"),)
    assert found.columns == ((0, 1, 2, 3),)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("task: segmentation", "task: sorting", "task 'sorting': expected segmentation or tagging"),
        ("task: segmentation", "job: x", "job is not known; known are "),
        ("output: y", "output: z", "output 'z': expected y"),
        ("scores: s", "scores: nothing", "scores 'nothing' is not a tensor that the model computes"),
        ("scores: s", "scores: 3", "scores 3: expected a name"),
        ("class_axis: 1", "", "class_axis is missing: expected a whole number from 1 to 8"),
        ("class_axis: 1", "class_axis: yes", "class_axis True: expected a whole number"),
        ("class_axis: 1", "class_axis: 2", "share an axis"),
        ("place_axes: [2, 3]", "place_axes: 2", "place_axes 2: expected a list of axes"),
        ("place_axes: [2, 3]", "place_axes: [2]", "are not all axes of 's', which has 4"),
        ("place_axes: [2, 3]", "place_axes: [3, 2]", "place_axes [3, 2]: expected them in order, [2, 3]"),
        ("output_axis: 3", "output_axis: 7", "output_axis 7: 'y' has axes 0 to 3"),
        ("output_axis: 3", "output_axis: 2", "expected the axis of the 4 classes"),
        ("output_axis: 3", "decided: true", "place_axes [2, 3]: 'y' says a class along 3 of its axes"),
        ("place_axes: [2, 3]", "place_axes: [0]", "(0 is of the samples)"),
        ("classes: 4", "classes: 7", "classes 7, but axis 1 of 's' has 4"),
        ("normaliser: Softmax", "normaliser: Norm", "normaliser 'Norm': expected Softmax or Sigmoid"),
        ("heads: [head]", "heads: [tail]", "heads 'tail' is not a layer of the model"),
        ("heads: [head]", "background: 4", "background 4: expected a whole number from 0 to 3"),
        ("heads: [head]", "decided: 1", "decided 1: expected true or false"),
        ("heads: [head]", "boxes: 1", "boxes 1: expected tensor: NAME"),
        ("heads: [head]", "boxes: {tensor: q}", "boxes the model computes no tensor 'q'"),
        ("heads: [head]", "boxes: {tensor: s, columns: 1}", "boxes columns 1: expected a list of numbers"),
        ("heads: [head]", "columns: [a]", "columns ['a']: expected a list of numbers"),
        ("output_axis: 3", "output_axis: none", "output_axis none: expected that of the classes"),
        ("heads: [head]", "decided: true", "decided true: axis 3 of 'y' has 4, not one"),
        ("heads: [head]", "columns: [0, 1]", "expected 4 different ones, one for each class"),
        ("heads: [head]", "columns: [0, 1, 2, 2]", "expected 4 different ones, one for each class"),
        ("heads: [head]", "columns: [0, 1, 2, -1]", "expected numbers from 0 to 3"),
        ("heads: [head]", "columns: [0, 1, 2, 4]", "expected numbers from 0 to 3"),
        ("heads: [head]", "boxes: {tensor: [s]}", "boxes the model computes no tensor ['s']"),
        (WHOLE, "- one\n- two\n", "expected lines of `name: value`"),
        (WHOLE, "a: [", "head.yaml"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in WHOLE
    with pytest.raises(InputError) as found:
        read_head(write(tmp_path, WHOLE.replace(old, new)), MODEL)
    assert said in str(found.value)
    assert "head.yaml" in str(found.value)
    assert "\n" not in str(found.value)
