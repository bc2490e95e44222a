import json
from pathlib import Path

import numpy as np
import pytest

from ..sample_paths import CNN, MLP, MNIST_LABELS, MNIST_PROBES, probes
from .command import onnxunlearn

REFERENCE = CNN.with_name("mnist_cnn.without3.onnx")


@pytest.fixture
def folder(folder: Path) -> Path:
    """With enough probes for the default to show that it forgets."""
    np.savez(folder / "probes.npz", **probes(12))  # type: ignore[arg-type]
    return folder


@pytest.fixture
def masked(folder: Path) -> Path:
    """`m.unlearned.onnx`, in which the 3 is only hidden."""
    assert onnxunlearn("run", "m.onnx", "--forget", 3, "--data", "probes.npz", "--method", "mask").code == 1
    return folder


def test_what_it_says(masked: Path) -> None:
    asked = "head-refit, layer-probes"  # all take longer
    ran = onnxunlearn(
        "audit", "m.onnx", "m.unlearned.onnx", "--forget", 3, "--data", "probes.npz", "--attacks", asked
    )
    assert ran.code == 1
    lines = [line.split() for line in ran.out.splitlines()]
    assert lines[0] == ["accuracy", "on", "120", "samples", "original", "edited", "mask", "only"]
    assert lines[1][:4] == ["to", "forget:", "class", "3"]
    assert lines[1][-4:] == ["0.00", "%", "0.00", "%"]
    assert lines[5][:7] == ["to", "forget,", "relearned", "from", "6", "a", "class"]
    for start in (
        "labels given",
        "edited, compared with the original",
        "redistribution, total variation",
        "linear probe for the class, by layer",
        "/1/Gemm",
        "UNDECIDED forget accuracy 0.00 % [0.00, 22.09]",
        "UNDECIDED worst retained class",
        "MISSED relearned accuracy below that of hiding the logit",
        "UNKNOWN relearned accuracy, redistribution against the reference (needs a model retrained",
        "UNKNOWN membership inference against the reference (needs a model retrained",
    ):
        assert any(line.startswith(start) for line in ran.out.splitlines()), start


def test_a_missed_target_is_exit_code_1(folder: Path) -> None:
    ran = onnxunlearn("audit", "m.onnx", "m.onnx", "--forget", 3, "--data", "probes.npz", "--no-layers")
    assert (ran.code, ran.err) == (1, "")
    assert "MISSED forget accuracy" in ran.out
    assert "by layer" not in ran.out


def test_a_reference_gets_its_column_and_targets(folder: Path) -> None:
    ran = onnxunlearn(
        "audit", CNN, REFERENCE, "--forget", "3", "--labels", MNIST_LABELS, "--data", MNIST_PROBES,
        "--reference", REFERENCE, "--training", "probes.npz", "--no-layers",
    )  # fmt: skip
    lines = ran.out.splitlines()
    assert lines[0].split()[-1] == "reference"
    assert lines[6].startswith("taken for training data")
    assert "PASSED redistribution against the reference 0.000 [0.000, 0.080] (target: at most 0.200)" in lines
    assert any(
        line.startswith("UNDECIDED membership inference against the reference 0.00 points") for line in lines
    )


def test_json(masked: Path) -> None:
    ran = onnxunlearn("audit", "m.onnx", "m.unlearned.onnx", "--forget", 3, "--data", "probes.npz", "--json")
    found = json.loads(ran.out)
    assert not found["targets_met"]
    assert found["figures"]["edited"]["forget"] == 0
    assert {row["table"] for row in found["rows"] if row["name"] == "likeness"} == {
        "edited, compared with the original"
    }


def test_quiet_leaves_the_exit_code(folder: Path) -> None:
    ran = onnxunlearn("audit", "m.onnx", "m.onnx", "--forget", 3, "--data", "probes.npz", "--no-layers", "-q")
    assert (ran.code, ran.out, ran.err) == (1, "", "")


def test_unlabelled_data_says_so(folder: Path) -> None:
    np.save("x.npy", probes(3)["x"])
    ran = onnxunlearn("audit", "m.onnx", "m.onnx", "--forget", 3, "--data", "x.npy", "--no-layers")
    assert "labels from the original" in ran.out.splitlines()


def test_it_writes_nothing(folder: Path) -> None:
    before = {p: p.read_bytes() for p in folder.iterdir()}
    onnxunlearn("audit", "m.onnx", MLP, "--forget", 3, "--data", "probes.npz")
    assert {p: p.read_bytes() for p in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("m.onnx", "no.onnx", "--forget", 3, "--data", "probes.npz"), "no.onnx: "),
        (("m.onnx", "m.onnx", "--forget", 10, "--data", "probes.npz"), "10"),
        (("m.onnx", "m.onnx", "--forget", 3, "--data", "none.npz"), "none.npz"),
        (("m.onnx", "m.onnx", "--forget", 3), "--data"),
        (("m.onnx", "m.onnx", "--forget", 3, "--data", "probes.npz", "--reference", "probes.npz"), "probes"),
    ],
)
def test_a_mistake_is_one_line(folder: Path, arguments: tuple[object, ...], says: str) -> None:
    ran = onnxunlearn("audit", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.count("\n") == 1
    assert says in ran.err
