"""Boxes from COCO's JSON and YOLO's text files, and one line for whatever is wrong with them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from onnxunlearn.errors import InputError
from onnxunlearn.probes import Labels
from onnxunlearn.probes.annotations import read_annotations

NAMED = Labels(3, ("cat", "dog", "bird"))
PLAIN = Labels(3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name, size in (("a", (100, 50)), ("b", (40, 80))):
        Image.new("RGB", size).save(tmp_path / "images" / f"{name}.png")
    return tmp_path


def images(folder: Path) -> list[Path]:
    return sorted((folder / "images").glob("*.png"))


def coco(**changes: Any) -> dict[str, Any]:
    """A bird (7) in the first image and a crowd of cats (3) in the second."""
    content: dict[str, Any] = {
        "images": [{"id": 5, "file_name": "a.png"}, {"id": 9, "file_name": "val/b.png"}],
        "annotations": [
            {"id": 1, "image_id": 5, "category_id": 7, "bbox": [10, 20, 30, 10.5]},
            {"id": 2, "image_id": 9, "category_id": 3, "bbox": [0, 0, 40, 80], "iscrowd": 1},
        ],
        "categories": [{"id": 7, "name": "bird"}, {"id": 3, "name": "Cat"}],
    }
    return content | changes


def write_coco(folder: Path, **changes: Any) -> None:
    (folder / "instances.json").write_text(json.dumps(coco(**changes)))


def write_yolo(folder: Path, text: str, name: str = "a") -> None:
    (folder / "labels").mkdir(exist_ok=True)
    (folder / "labels" / f"{name}.txt").write_text(text)


def test_coco(folder: Path) -> None:
    write_coco(folder)
    found = read_annotations(folder, images(folder), NAMED)
    assert found is not None
    first, second = found
    np.testing.assert_allclose(first.boxes, [[10, 20, 40, 30.5]])
    assert (first.classes.tolist(), second.classes.tolist()) == ([2], [0])
    assert (first.crowds.tolist(), second.crowds.tolist()) == ([False], [True])
    assert first.size == (100, 50)


def test_classes_of_coco_without_names_are_in_the_order_of_their_numbers(folder: Path) -> None:
    write_coco(folder)
    found = read_annotations(folder, images(folder), PLAIN)
    assert found is not None
    assert [each.classes.tolist() for each in found] == [[1], [0]]


def test_yolo(folder: Path) -> None:
    """Of an outline the box; of an image without a file nothing."""
    write_yolo(folder, "1 0.5 0.5 0.2 0.4\n\n0 0.1 0.1 0.3 0.1 0.3 0.6 0.1 0.6\n")
    found = read_annotations(folder, images(folder), NAMED)
    assert found is not None
    np.testing.assert_allclose(found[0].boxes, [[40, 15, 60, 35], [10, 5, 30, 30]], rtol=1e-6)
    assert found[0].classes.tolist() == [1, 0]
    assert len(found[1]) == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data.yaml", "path: .\nnames:\n  0: dog\n  1: bird\n"),
        ("data.yaml", "names: [dog, bird]\n"),
        ("classes.txt", "dog\nbird\n"),
    ],
)
def test_names_say_which_class_a_number_is(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    write_yolo(folder, "1 0.5 0.5 0.2 0.4\n0 0.5 0.5 0.2 0.4\n")
    found = read_annotations(folder, images(folder), NAMED)
    assert found is not None
    assert found[0].classes.tolist() == [2, 1]


def test_a_box_that_rounding_moved_over_the_border_is_cut(folder: Path) -> None:
    write_yolo(folder, "1 0.95 0.5 0.104 0.4\n")
    found = read_annotations(folder, images(folder), NAMED)
    assert found is not None
    assert found[0].boxes[0, 2] == 100


def test_annotations_of_two_folders(folder: Path) -> None:
    """Images of one name in two folders: those of the images' folder are meant, if it is named."""
    both = [{"id": 5, "file_name": "val/a.png"}, {"id": 6, "file_name": "train/a.png"}]
    entries = [*both, {"id": 9, "file_name": "b.png"}]
    write_coco(folder, images=entries)
    with pytest.raises(InputError, match=r"'val/a\.png' and 'train/a\.png' are both called a\.png"):
        read_annotations(folder, images(folder), NAMED)
    entries[0]["file_name"] = "images/a.png"
    write_coco(folder, images=entries)
    found = read_annotations(folder, images(folder), NAMED)
    assert found is not None
    assert found[0].classes.tolist() == [2]


def test_nothing_is_said(folder: Path) -> None:
    (folder / "preprocess.json").write_text('{"size": 32}')
    assert read_annotations(folder, images(folder), NAMED) is None


def test_a_report_of_ours_beside_the_folder_is_no_annotation(folder: Path) -> None:
    """It has keys that are called as COCO's lists."""
    report = {"probes": {"annotations": {"path": "labels"}}, "model": {"images": ["batch", 3, 8, 8]}}
    (folder.parent / "model.unlearned.report.json").write_text(json.dumps(report))
    assert read_annotations(folder, images(folder), NAMED) is None


def test_of_several_files_that_which_says_most_of_the_images(folder: Path) -> None:
    """A data set's folder has those of other images, and captions."""
    place = folder / "annotations"
    place.mkdir()
    (place / "captions.json").write_text(json.dumps(coco(categories=0)))
    (place / "instances_train.json").write_text(json.dumps(coco(images=[{"id": 5, "file_name": "z.png"}])))
    (place / "instances_val.json").write_text(json.dumps(coco()))
    for asked in (folder, folder / "images"):
        found = read_annotations(asked, images(folder), NAMED)
        assert found is not None
        assert found[0].classes.tolist() == [2]
    (place / "instances_val.json").unlink()
    with pytest.raises(InputError, match=r"says nothing of|not annotations in COCO's form"):
        read_annotations(folder, images(folder), NAMED)


@pytest.mark.parametrize("below", [True, False])
def test_parts_of_a_data_set(folder: Path, *, below: bool) -> None:
    """images/val and labels/val, or val/images and val/labels; names are above."""
    image, text = ("images/val", "labels/val") if below else ("val/images", "val/labels")
    for each in (image, text):
        (folder / each).mkdir(parents=True)
    Image.new("RGB", (100, 50)).save(folder / image / "c.png")
    (folder / text / "c.txt").write_text("0.0 0.5 0.5 0.2 0.4\n")
    (folder / "data.yaml").write_text("names: [dog, bird]\n")
    asked = folder / image if below else folder / "val"
    found = read_annotations(asked, [folder / image / "c.png"], NAMED)
    assert found is not None
    assert found[0].classes.tolist() == [1]


def test_names_that_nothing_is_of_may_be_unknown(folder: Path) -> None:
    """Some tools list one class more, above all others."""
    more = [*coco()["categories"], {"id": 0, "name": "things"}]
    write_coco(folder, categories=more)
    assert read_annotations(folder, images(folder), NAMED) is not None
    (folder / "instances.json").unlink()
    (folder / "classes.txt").write_text("things\nbird\n")
    write_yolo(folder, "1 0.5 0.5 0.2 0.4\n")
    found = read_annotations(folder, images(folder), NAMED)
    assert found is not None
    assert found[0].classes.tolist() == [2]
    write_yolo(folder, "0 0.5 0.5 0.2 0.4\n")
    with pytest.raises(InputError, match=r"classes\.txt: calls a class 'things'"):
        read_annotations(folder, images(folder), NAMED)


def _entry(**changes: Any) -> list[dict[str, Any]]:
    return [{"image_id": 5, "category_id": 7, "bbox": [10, 20, 30, 10]} | changes]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"annotations": _entry(bbox=[90, 0, 30, 10])},
            r"a\.png: the box 90, 0, 120, 10 .* outside .*100 × 50",
        ),
        ({"annotations": _entry(bbox=[10, 0, 0, 10])}, "is empty"),
        ({"annotations": _entry(bbox=[10, 0, 5])}, "no 'bbox' of x, y, width"),
        ({"annotations": _entry(bbox=[10**400, 0, 5, 5])}, "beyond all numbers"),
        ({"categories": [{"id": "seven", "name": "bird"}]}, "id 'seven', expected a whole number"),
        ({"annotations": _entry(category_id=4)}, "category 4, which is not listed"),
        ({"annotations": [3]}, "no 'image_id'"),
        (
            {"categories": [{"id": 7, "name": "brid"}, {"id": 3, "name": "cat"}]},
            "'brid', .* did you mean 'bird'",
        ),
        ({"images": [{"id": 5, "file_name": "z.png"}]}, "says nothing of .*a.png, it is of other images"),
        ({"images": 3}, "not annotations in COCO's form"),
    ],
)
def test_wrong_coco_is_one_line(folder: Path, changes: dict[str, Any], message: str) -> None:
    write_coco(folder, **changes)
    with pytest.raises(InputError, match=message) as raised:
        read_annotations(folder, images(folder), NAMED)
    assert "\n" not in str(raised.value)


def test_names_above_are_of_this_folder_only_where_it_holds_the_images(folder: Path) -> None:
    write_yolo(folder, "2 0.5 0.5 0.4 0.4")
    (folder.parent / "names.txt").write_text("other\n")  # as a model's labels may be called
    found = read_annotations(folder, images(folder), NAMED)
    assert found is not None
    assert found[0].classes.tolist() == [2]
    (folder / "classes.txt").write_text("bird\ncat\ndog\n")
    found = read_annotations(folder / "images", images(folder), NAMED)
    assert found is not None
    assert found[0].classes.tolist() == [1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 0.9 0.5 0.4 0.4", "outside its image"),
        ("1 0.9 0.5 0.4", "line 1: .*expected class, x, y"),
        ("cat 0.5 0.5 0.4 0.4", "line 1: .*expected class, x, y"),
        ("1.5 0.5 0.5 0.4 0.4", "line 1: .*expected class, x, y"),
        ("inf 0.5 0.5 0.4 0.4", "line 1: .*expected class, x, y"),
        ("7 0.5 0.5 0.4 0.4", r"line 1: class 7, expected an index 0\.\.2"),
        ("1 0.5 nan 0.4 0.4", "is empty"),
    ],
)
def test_wrong_yolo_is_one_line(folder: Path, text: str, message: str) -> None:
    write_yolo(folder, text)
    with pytest.raises(InputError, match=message) as raised:
        read_annotations(folder, images(folder), NAMED)
    assert "\n" not in str(raised.value)


def test_text_files_of_other_images(folder: Path) -> None:
    write_yolo(folder, "1 0.5 0.5 0.4 0.4", "z")
    with pytest.raises(InputError, match=r"z\.txt: is of another image"):
        read_annotations(folder, images(folder), NAMED)
