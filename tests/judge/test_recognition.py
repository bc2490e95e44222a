"""Probes on which the original knows nothing judge nothing."""

import numpy as np
import pytest

from onnxunlearn import InputError, examine, unlearn
from onnxunlearn.graph import Logits
from onnxunlearn.judge import check_known
from onnxunlearn.probes import Labels, Probes
from onnxunlearn.tasks import task_of

from ..sample_paths import CNN, MLP, images, probes
from .made_evidence import decided

REASONS = "scale or mean than the model was trained with"


def check(predicted: np.ndarray, y: np.ndarray, forget: tuple[int, ...] = (0,), classes: int = 10) -> None:
    given = Probes({"x": np.arange(len(y))[:, None]}, y, "probes.npz")
    task = task_of(Logits("z", "z", classes, None), forget, given)
    check_known(task, decided(predicted, classes), given, Labels(classes), given=True)


def digits() -> dict[str, np.ndarray]:
    """All 360 shipped probes."""
    x, y = images("mnist_probes")
    return {"x": x.copy(), "y": y.copy()}


def garbage(kind: str) -> dict[str, np.ndarray]:
    found = digits()
    rng = np.random.default_rng(0)
    if kind == "labels at random":
        found["y"] = rng.permutation(found["y"])
    elif kind == "labels shifted by one":
        found["y"] = (found["y"] + 1) % 10
    elif kind == "all the same image":
        found["x"][:] = found["x"][5]
    elif kind == "zeros":
        found["x"][:] = 0
    elif kind == "noise":
        found["x"] = rng.normal(size=found["x"].shape).astype(np.float32)
    elif kind == "pixels in another order":
        order = rng.permutation(784)
        found["x"] = found["x"].reshape(-1, 784)[:, order].reshape(found["x"].shape)
    elif kind == "a constant added":
        found["x"] += 40
    return found


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("labels at random", REASONS),
        ("labels shifted by one", "Likely: with 1 taken from every y, 99.7 % of them are known .0.0 %"),
        ("all the same image", "all 360 probes hold the same values"),
        ("zeros", "all 360 probes hold the same values"),
        ("noise", "no pictures: neighbouring pixels are as unlike as distant ones"),
        ("pixels in another order", "no pictures|y may count the classes otherwise"),
        ("a constant added", "normalised with their own mean and std, .* % of them are known"),
    ],
)
@pytest.mark.parametrize("forget", [3, 8])
def test_garbage_is_refused_by_run_and_audit(kind: str, says: str, forget: int) -> None:
    given = garbage(kind)
    for ask in (
        lambda: unlearn(MLP, forget, given, method="mask"),
        lambda: examine(MLP, MLP, forget, given, by_layer=False),
    ):
        with pytest.raises(InputError, match=says) as error:
            ask()
        assert len(str(error.value).splitlines()) == 1


def test_what_the_model_still_recognises_is_judged_whatever_its_scale() -> None:
    """Times 255 this network is right on most of them: its figures are true of such inputs."""
    given = digits()
    given["x"] *= 255
    found = examine(CNN, CNN, 3, given, by_layer=False)
    assert (found.accuracies["original"].forget or 0) > 50


def test_a_class_that_is_never_answered() -> None:
    y = np.repeat(np.arange(10), 20)
    with pytest.raises(
        InputError, match=r"recognises 0 of 20 probes of class 3, .*: has it forgotten class 3 already\?"
    ):
        check(np.where(y == 3, 5, y), y, (3,))
    check(np.where(y == 3, 5, y), y, (4,))  # what others lack is their own business
    with pytest.raises(InputError, match="of class 3"):
        check(np.where(y == 3, 5, y), y, (4, 3))


def test_chance_is_how_often_others_are_given_the_class() -> None:
    """Half of its samples are right, but so is half of everything taken for it."""
    y = np.repeat(np.arange(10), 20)
    with pytest.raises(InputError, match="10 of 20 probes of class 0"):
        check(np.where(np.arange(200) % 2 == 0, 0, np.maximum(y, 1)), y)
    check(np.where((y == 0) & (np.arange(200) % 2 == 0), 1, y), y)


def test_a_constant_answer_knows_no_class_even_if_it_is_right_on_one() -> None:
    y = np.repeat(np.arange(2), 20)
    with pytest.raises(InputError, match="20 of 20 probes of class 0"):
        check(np.zeros(40, int), y, (0,), classes=2)


def test_right_on_the_class_and_at_chance_on_the_rest() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(10), 6)
    predicted = np.where(y == 0, 0, rng.integers(1, 10, 60))
    predicted[y != 0] = 1 + (y[y != 0] + 3) % 9
    check(np.where(y == 0, 0, y), y)
    with pytest.raises(InputError, match=r"right on 6 of 60 probes"):
        check(predicted, y)


@pytest.mark.parametrize("classes", [2, 10])
def test_few_that_are_all_right_are_taken(classes: int) -> None:
    y = np.arange(2).repeat(2)
    check(y, y, (0,), classes)
    check(y[:2], y[:2], (0,), classes)  # only the class itself
    with pytest.raises(InputError, match="1 of 2 probes of class 0"):
        check(np.array([0, 1, 1, 1]), y, (0,), classes)


def test_labels_by_the_model_itself_must_be_of_several_classes() -> None:
    x, y = images("mnist_probes")
    threes = {"x": x[y == 3]}
    with pytest.raises(InputError, match="takes all 36 probes for class 3, and nothing shows that it knows"):
        unlearn(CNN, 3, threes)
    assert unlearn(MLP, 3, {**threes, "y": y[y == 3]}, method="head").report["probes"]["labels"] == "given"
    assert unlearn(MLP, 3, {"x": probes()["x"]}, method="head").report["probes"]["labels"] == "from the model"
