"""Probes that the original only half knows: refused where another preparation would make it know far more,
warned of where it would clearly help, and never where nothing would."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnxunlearn import InputError, examine, explain, unlearn
from onnxunlearn.inquiry import Inquiry, Options

from ..sample_paths import CNN, MLP, MOBILE, RESNET, images

Array = np.ndarray
MEAN, STD = {"mnist": 0.1307, "fashion": 0.2860}, {"mnist": 0.3081, "fashion": 0.3530}


def shipped(
    path: Path, change: Callable[[Array], Array] = lambda x: x, *, raw: bool = False
) -> dict[str, Array]:
    """The probes of a sample model, changed; raw: as pixels 0..1."""
    name = "fashion" if path == MOBILE else "mnist"
    x, y = images(f"{name}_probes")
    pixels = x * STD[name] + MEAN[name] if raw else x
    return {"x": np.ascontiguousarray(change(pixels), np.float32), "y": y}


def looked_at(model: Path | bytes, given: dict[str, Array], **options: object) -> Inquiry:
    inquiry = Inquiry.of(model, 3, Options(**options))  # type: ignore[arg-type]
    probes = inquiry.read(given)
    return inquiry.known(inquiry.classified(probes), given="y" in given)


HALF_KNOWN = {
    "scaled to -1..1, which the model knows 49 % of": (
        MOBILE,
        lambda p: p * 2 - 1,
        "normalised with their own mean and std, 94.1 % of them are known (50.8 % as they are)",
    ),
    "pixels 0..255": (
        RESNET,
        lambda p: p * 255,
        "normalised with their own mean and std, 100.0 % of them are known (31.2 % as they are)",
    ),
    "normalised, then times 255": (
        RESNET,
        lambda p: (p - 0.1307) / 0.3081 * 255,
        "divided by 255, 100.0 % of them are known (35.5 % as they are)",
    ),
    "another mean and std": (
        RESNET,
        lambda p: (p - 0.449) / 0.226,
        "normalised with their own mean and std, 100.0 % of them are known (31.2 % as they are)",
    ),
    "white on black": (
        CNN,
        lambda p: (1 - p - 0.1307) / 0.3081,
        "with black and white swapped, 98.8 % of them are known (24.6 % as they are)",
    ),
}


@pytest.mark.parametrize("kind", HALF_KNOWN)
def test_what_cannot_be_meant_is_refused_unless_it_is(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    path, change, cure = HALF_KNOWN[kind]
    given = shipped(path, change, raw=True)
    with pytest.raises(InputError, match="--as-they-are") as error:
        looked_at(path, given)
    assert cure in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    (line,) = looked_at(path, given, as_they_are=True).suspicions
    assert line == f"arrays in memory: perhaps not what the model was trained with: {cure}"
    assert line in caplog.messages


@pytest.mark.parametrize(
    ("path", "change", "text"),
    [
        (MLP, lambda p: p * 2 - 1, "scaled to 0..1, 97.7 % of them are known (84.8 % as they are)"),
        (
            MLP,
            lambda p: (p - 0.5) / 0.25,
            "normalised with their own mean and std, 99.6 % of them are known (84.0 % as they are)",
        ),
        (
            MOBILE,
            lambda p: (p * 0.3 - 0.286) / 0.353,
            "normalised with their own mean and std, 94.1 % of them are known (82.4 % as they are)",
        ),
    ],
)
def test_what_clearly_helps_is_said(path: Path, change: Callable[[Array], Array], text: str) -> None:
    (line,) = looked_at(path, shipped(path, change, raw=True)).suspicions
    assert line.endswith(text)


@pytest.mark.parametrize("path", [CNN, MLP, RESNET, MOBILE])
@pytest.mark.parametrize("labelled", [True, False])
def test_the_right_probes_are_not_suspicious(path: Path, labelled: bool) -> None:
    given = shipped(path)
    assert looked_at(path, given if labelled else {"x": given["x"]}).suspicions == ()
    of_two = np.isin(given["y"], [3, 5])
    few = {name: values[of_two] for name, values in given.items()}
    assert looked_at(path, few if labelled else {"x": few["x"]}).suspicions == ()


def noise(x: Array) -> Array:
    return x + np.random.default_rng(0).normal(size=x.shape)


def blurred(x: Array) -> Array:
    return np.mean([np.roll(x, step, axis) for axis in (2, 3) for step in (-1, 0, 1)], axis=0)


def covered(x: Array) -> Array:
    found = x.copy()
    found[:, :, 8:20, 14:] = x.min()
    return found


@pytest.mark.parametrize("path", [CNN, MLP, RESNET, MOBILE])
@pytest.mark.parametrize("corrupted", [noise, blurred, covered])
@pytest.mark.parametrize("labelled", [True, False])
def test_corrupted_images_are_not_taken_for_wrongly_prepared_ones(
    path: Path, corrupted: Callable[[Array], Array], labelled: bool
) -> None:
    given = shipped(path, corrupted)
    if not labelled:
        del given["y"]
    said = ""
    try:
        said = " ".join(looked_at(path, given).suspicions)
    except InputError as error:  # at chance, perhaps
        said = str(error)
    assert "of them are" not in said


def worse(path: Path, noise: float, seed: int) -> bytes:
    """A sample model with noise on its weights, which knows less."""
    rng = np.random.default_rng(seed)
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.ndim > 1:
            moved = values + noise * values.std() * rng.normal(size=values.shape)
            tensor.CopyFrom(numpy_helper.from_array(moved.astype(np.float32), tensor.name))
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("path", "noise", "seed"), [(RESNET, 0.8, 1), (RESNET, 0.8, 3), (CNN, 0.8, 2), (MLP, 0.8, 0)]
)
@pytest.mark.parametrize("labelled", [True, False])
def test_a_model_that_honestly_knows_little_is_believed(
    path: Path, noise: float, seed: int, labelled: bool
) -> None:
    given, model = shipped(path), worse(path, noise, seed)
    inquiry = looked_at(model, given if labelled else {"x": given["x"]})
    right = (inquiry.scores(inquiry.read(given)).argmax(axis=1) == given["y"]).mean()
    assert 0.35 < right < 0.7
    assert inquiry.suspicions == ()


def test_but_its_probes_in_another_scale_are_not() -> None:
    model, given = worse(RESNET, 0.8, 1), shipped(RESNET, lambda p: p * 255, raw=True)
    with pytest.raises(InputError, match="normalised with their own mean and std, 4"):
        looked_at(model, given)


@pytest.mark.parametrize("step", [-1, 1])
def test_labels_that_start_elsewhere(step: int) -> None:
    """Half of them, so that the class itself is above chance."""
    given = shipped(CNN)
    later = np.arange(360) % 2 == 0
    given["y"] = np.where(later, (given["y"] + step) % 10, given["y"])
    assert looked_at(CNN, given).suspicions == ()  # what helps some harms others
    given["y"] = (shipped(CNN)["y"] + step) % 10
    todo = "with 1 taken from every y" if step > 0 else "with 1 added to every y"
    with pytest.raises(InputError, match=f"Likely: {todo}, 99.2 % of them are known"):
        looked_at(CNN, given)


def test_two_mistakes_in_the_order_in_which_they_are_likely() -> None:
    with pytest.raises(InputError, match=r"Likely: scale: .* scaled twice\?; scaled to 0..1, 98.4 %"):
        looked_at(CNN, shipped(CNN, lambda p: p / 255, raw=True))
    with pytest.raises(InputError, match=r"Likely: scale: .* scaled twice\?; multiplied by 255, 100.0 %"):
        looked_at(RESNET, shipped(RESNET, lambda x: x / 255))


@pytest.mark.parametrize(
    ("path", "change", "text"),
    [
        (RESNET, lambda p: p * 255, "normalised with their own mean and std"),
        (MOBILE, lambda p: p, "normalised with their own mean and std"),
        (CNN, lambda p: (p.transpose(0, 1, 3, 2) - 0.1307) / 0.3081, "with rows and columns swapped"),
    ],
)
def test_without_labels_it_is_only_said(path: Path, change: Callable[[Array], Array], text: str) -> None:
    given = shipped(path, change, raw=True)
    (line,) = looked_at(path, {"x": given["x"]}).suspicions
    assert f"trained with: {text}, 8" in line
    assert "of them are told apart" in line


def test_rows_of_numbers_in_another_scale() -> None:
    """The same network behind no Flatten, on pixels in rows."""
    model = onnx.load(MLP)
    flatten = model.graph.node[0]
    assert flatten.op_type == "Flatten"
    model.graph.node[1].input[0] = "x"
    del model.graph.node[0]
    shape = model.graph.input[0].type.tensor_type.shape
    del shape.dim[2:]
    shape.dim[1].dim_value = 784
    given = shipped(MLP, lambda p: p.reshape(-1, 784) * 0.3 + 0.35, raw=True)
    with pytest.raises(InputError, match="own mean and std, 9"):
        looked_at(model.SerializeToString(), given)
    assert looked_at(model.SerializeToString(), shipped(MLP, lambda x: x.reshape(-1, 784))).suspicions == ()


def test_several_classes_a_sample() -> None:
    """The network behind a Sigmoid; a sample has its digit, and whatever else the network says."""
    model = onnx.load(RESNET)
    (output,) = model.graph.output
    model.graph.node.append(onnx.helper.make_node("Sigmoid", [output.name], ["p"]))
    output.name = "p"
    given, scores = shipped(RESNET), looked_at(RESNET, shipped(RESNET)).scores
    tags = scores(Inquiry.of(RESNET, 3, Options()).read({"x": given["x"]})) > 0
    tags[np.arange(360), given["y"]] = True
    assert (tags.sum(axis=1) > 1).any()
    assert looked_at(model.SerializeToString(), {"x": given["x"], "y": tags}).suspicions == ()
    wrong = shipped(RESNET, lambda p: p * 255, raw=True)["x"]
    with pytest.raises(InputError, match=r"own mean and std, 100\.0 % of them are known"):
        looked_at(model.SerializeToString(), {"x": wrong, "y": tags})


def test_few_forward_passes_are_made_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []
    run = Inquiry._run

    def counted(self: Inquiry, feeds: Mapping[str, Array]) -> Array:
        ran.append(len(feeds["x"]))
        return run(self, feeds)

    monkeypatch.setattr(Inquiry, "_run", counted)
    looked_at(CNN, shipped(CNN))
    assert ran == []  # nothing could be gained
    looked_at(MLP, shipped(MLP, lambda p: p * 2 - 1, raw=True))
    assert sum(ran) < 1000


def test_on_suspicious_probes_nothing_passes() -> None:
    x, y = images("fashion_test")
    given = {"x": ((x * 0.353 + 0.286) * 2 - 1)[::4], "y": y[::4]}
    with pytest.raises(InputError, match="insist with --as-they-are"):
        examine(MOBILE, MOBILE, 3, given, by_layer=False)
    found = examine(MOBILE, MOBILE, 3, given, by_layer=False, as_they_are=True, max_retain_drop=5)
    lost = found.target("retain accuracy lost")
    assert (lost.status, lost.met, lost.note, lost.needed) == (
        "undecided",
        True,
        "on suspicious probes, see the warnings",
        None,
    )
    assert found.statuses["passed"] == 0
    assert "own mean and std" in found.to_json()["warnings"][0]


def test_run_says_so_in_its_report() -> None:
    given = shipped(MLP, lambda p: p * 2 - 1, raw=True)
    report = unlearn(MLP, 3, given, method="mask").report
    assert any("scaled to 0..1" in line for line in report["warnings"])
    assert report["statuses"]["passed"] == 0
    assert report["options"]["as_they_are"] is False


def test_relevance_of_what_the_model_does_not_know(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    right, wrong = shipped(RESNET), shipped(RESNET, lambda p: p * 255, raw=True)
    for given in ({"x": right["x"]}, right, {name: v[:3] for name, v in right.items()}):
        explain(RESNET, {n: v[:40] for n, v in given.items()}, 3)
    assert caplog.messages == []
    explain(RESNET, {n: v[::6] for n, v in wrong.items()}, 3)
    (line,) = caplog.messages
    assert "normalised with their own mean and std, 100.0 % of them are known" in line
    caplog.clear()
    explain(RESNET, {"x": wrong["x"][::5]}, "predicted")
    assert "of them are told apart" in caplog.messages[0]
    caplog.clear()
    right["y"] = (right["y"] + 1) % 10
    explain(RESNET, {n: v[::9] for n, v in right.items()}, "label")
    assert "no more than chance" in caplog.messages[0]
    assert "with 1 taken from every y" in caplog.messages[0]
    caplog.clear()
    of_class = right["y"] == 4
    explain(RESNET, {"x": right["x"][of_class], "y": right["y"][of_class]}, "label")
    assert "recognises 0 of 36 probes of class 4" in caplog.messages[0]


def test_of_unlabelled_probes_a_class_that_is_never_given_is_not_called_without_probes() -> None:
    given = shipped(MLP)
    without = (given["y"] != 7) & (np.arange(360) % 4 < 2)
    report = unlearn(MLP, 3, {"x": given["x"][without]}).report
    (target,) = (t for t in report["targets"] if t["name"].startswith("what class 7 lost"))
    assert target["note"].endswith("the labels are its own")
    assert "class 7 that the model takes no probe for" in report["method"]["details"]["why"]


def test_samples_of_the_training_have_to_be_known_too() -> None:
    given, wrong = shipped(RESNET), shipped(RESNET, lambda p: p * 255, raw=True)
    with pytest.raises(InputError, match="own mean and std"):
        examine(RESNET, RESNET, 3, given, training=wrong, by_layer=False)
