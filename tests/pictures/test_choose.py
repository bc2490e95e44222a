"""Which samples are drawn for which target."""

import numpy as np
import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.pictures.choose import Chosen, choose
from onnxunlearn.probes import Labels, Probes

Y = np.array([2, 0, 2, 1, 0, 2])
PREDICTED = np.array([2, 0, 1, 1, 0, 2])


def chosen(target: int | str, y: np.ndarray | None = Y, count: int = 2) -> Chosen:
    probes = Probes({"x": np.arange(6, dtype=np.float32)[:, None]}, y, "probes.npz")
    return choose(probes, target, count, Labels(4, ("a", "b", "c", "d")), lambda: PREDICTED)


def samples(found: Chosen) -> list[int]:
    return [int(v) for v in found.probes.feeds["x"][:, 0]]


def test_label_takes_the_first_of_each_class() -> None:
    found = chosen("label")
    assert samples(found) == [1, 4, 3, 0, 2]
    assert found.targets.tolist() == [0, 0, 1, 2, 2]
    assert found.classes == [0, 1, 2]
    assert found.of(2).tolist() == [3, 4]


def test_predicted_goes_by_the_model() -> None:
    found = chosen("predicted")
    assert samples(found) == [1, 4, 2, 3, 0, 5]
    assert found.probes.y is not None
    assert found.probes.y.tolist() == [0, 0, 2, 1, 2, 2]


@pytest.mark.parametrize("target", ["c", "2", 2])
def test_one_class_takes_its_samples(target: int | str) -> None:
    found = chosen(target)
    assert samples(found) == [0, 2]
    assert found.classes == [2]


def test_one_class_goes_by_the_model_where_there_is_no_y() -> None:
    assert samples(chosen("c", None)) == [0, 5]


def test_a_class_without_samples_is_explained_on_others() -> None:
    found = chosen("d")
    assert samples(found) == [0, 1]
    assert found.targets.tolist() == [3, 3]
    assert "other classes" in found.note


def test_the_model_is_not_run_where_labels_decide() -> None:
    def never() -> np.ndarray:
        raise AssertionError

    probes = Probes({"x": np.zeros((6, 1), np.float32)}, Y, "probes.npz")
    choose(probes, "label", 1, Labels(4), never)
    choose(probes, 2, 1, Labels(4), never)


def test_refusals() -> None:
    with pytest.raises(InputError, match="has no y"):
        chosen("label", None)
    with pytest.raises(InputError, match="names 2 classes"):
        chosen("a,b")
    with pytest.raises(InputError, match="unknown class"):
        chosen("horse")
