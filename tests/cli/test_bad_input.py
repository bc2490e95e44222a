"""Whatever a user gets wrong: one line that says so, the right exit code, no traceback and no new file."""

import errno
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper

from ..sample_paths import FASHION_LABELS, MLP, mlp, probes
from .command import contents, onnxunlearn


def refused(folder: Path, code: int, *arguments: object) -> str:
    """The one line on stderr."""
    before = contents(folder)
    ran = onnxunlearn(*arguments)
    assert ran.code == code, ran
    assert ran.out == ""
    assert ran.err.startswith("onnxunlearn: ")
    assert len(ran.err.splitlines()) == 1, ran.err
    assert contents(folder) == before
    return ran.err


def run(
    *more: object, model: object = "m.onnx", data: object = "probes.npz", forget: object = 3
) -> list[object]:
    return ["run", model, "--forget", forget, "--data", data, *more]


# Models


def truncated() -> bytes:
    return MLP.read_bytes()[:200_000]


def text() -> bytes:
    return b"just some text, and no model at all\n"


def empty() -> bytes:
    return b""


def rejected_by_the_checker() -> bytes:
    proto = mlp()
    proto.graph.node[0].op_type = "Flattern"
    return proto.SerializeToString()


def without_logits() -> bytes:
    proto = mlp()
    proto.graph.node.append(helper.make_node("ReduceSum", ["logits"], ["sum"], keepdims=0))
    proto.graph.output[0].CopyFrom(helper.make_tensor_value_info("sum", T.FLOAT, []))
    return proto.SerializeToString()


def several_outputs() -> bytes:
    proto = mlp()
    proto.graph.output.append(helper.make_tensor_value_info("/4/Relu_output_0", T.FLOAT, ["batch", 64]))
    return proto.SerializeToString()


@pytest.mark.parametrize("command", ["run", "inspect", "relevance", "diff"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (truncated, "truncated or damaged ONNX"),
        (text, "not an ONNX file"),
        (empty, "the file is empty"),
        (rejected_by_the_checker, "fails the ONNX checker: "),
    ],
)
def test_files_that_are_no_models(
    folder: Path, command: str, content: Callable[[], bytes], message: str
) -> None:
    (folder / "bad.onnx").write_bytes(content())
    arguments: dict[str, list[object]] = {
        "run": run(model="bad.onnx"),
        "inspect": ["inspect", "bad.onnx"],
        "relevance": ["relevance", "bad.onnx", "--data", "probes.npz", "--target", "3", "-o", "r.npz"],
        "diff": ["diff", "m.onnx", "bad.onnx"],
    }
    assert f"bad.onnx: {message}" in refused(folder, 2, *arguments[command])


@pytest.mark.parametrize(("path", "message"), [("nothing.onnx", "no such file"), (".", "not a file")])
def test_paths_that_are_no_files(folder: Path, path: str, message: str) -> None:
    assert f"{path}: {message}" in refused(folder, 2, *run(model=path))
    assert f"{path}: {message}" in refused(folder, 2, "inspect", path)


def test_models_that_are_no_classifiers(folder: Path) -> None:
    (folder / "bad.onnx").write_bytes(without_logits())
    assert "no usable logits" in refused(folder, 2, *run(model="bad.onnx"))
    assert "no usable logits" in refused(folder, 2, "inspect", "bad.onnx")


def test_several_possible_outputs(folder: Path) -> None:
    (folder / "two.onnx").write_bytes(several_outputs())
    message = refused(folder, 2, *run(model="two.onnx"))
    assert "logits, /4/Relu_output_0; choose one with --output-name" in message
    assert onnxunlearn(*run("--dry-run", "--output-name", "logits", model="two.onnx")).err == ""


def test_external_data_outside_the_folder(folder: Path) -> None:
    (folder / "model").mkdir()
    (folder / "secret").write_bytes(b"\0" * 40)
    proto = mlp()
    bias = proto.graph.initializer[-1]
    bias.ClearField("raw_data")
    bias.data_location = T.EXTERNAL
    bias.external_data.add(key="location", value="../secret")
    (folder / "model" / "bad.onnx").write_bytes(proto.SerializeToString())
    message = refused(folder, 2, *run(model="model/bad.onnx"))
    assert "outside the model's folder" in message
    bias.external_data[0].value = "lost.data"
    (folder / "model" / "bad.onnx").write_bytes(proto.SerializeToString())
    assert "'lost.data', which does not exist" in refused(folder, 2, *run(model="model/bad.onnx"))


def test_data_files_in_the_way(folder: Path) -> None:
    location = "ext.onnx.data"
    onnx.save_model(mlp(), "ext.onnx", save_as_external_data=True, location=location, size_threshold=0)
    (folder / "out.onnx.data").touch()
    assert "out.onnx.data: exists already" in refused(folder, 2, *run("-o", "out.onnx", model="ext.onnx"))
    (folder / "out.onnx.data").unlink()
    assert onnxunlearn(*run("-o", "out.onnx", model="ext.onnx")).err == ""
    assert (folder / "out.onnx.data").stat().st_size == (folder / location).stat().st_size


def test_an_op_that_relevance_cannot_pass(folder: Path) -> None:
    proto = mlp()
    proto.graph.node[-1].output[0] = "unsorted"
    proto.graph.node.append(helper.make_node("TopK", ["unsorted", "k"], ["sorted", "order"], name="sort"))
    back = ["unsorted", "order", "sorted"], ["logits"]
    proto.graph.node.append(helper.make_node("ScatterElements", *back, axis=1, name="unsort"))
    proto.graph.initializer.append(helper.make_tensor("k", T.INT64, [1], [10]))
    (folder / "bad.onnx").write_bytes(proto.SerializeToString())
    arguments = ["relevance", "bad.onnx", "--data", "probes.npz", "--target", 3, "-o", "r.npz"]
    for command in (run("--method", "lra-npp", model="bad.onnx"), arguments):
        message = refused(folder, 3, *command)
        assert "node 'unsort', op ScatterElements, opset 17" in message


def test_an_op_that_the_engine_cannot_run(folder: Path) -> None:
    proto = mlp()
    proto.graph.node[0].domain = "org.example"
    proto.graph.node[0].op_type = "Press"
    proto.opset_import.append(helper.make_opsetid("org.example", 4))
    (folder / "bad.onnx").write_bytes(proto.SerializeToString())
    for engine in ("onnxruntime", "numpy"):
        message = refused(folder, 3, *run("--engine", engine, model="bad.onnx"))
        assert "'/0/Flatten'" in message
        assert "Press" in message
        assert "opset 4" in message


def test_a_shared_head(folder: Path) -> None:
    proto = mlp()
    twin = helper.make_node("Gemm", ["/4/Relu_output_0", "5.weight", "5.bias"], ["t"], transB=1, name="twin")
    proto.graph.node.append(twin)
    proto.graph.output.append(helper.make_tensor_value_info("t", T.FLOAT, ["batch", 10]))
    (folder / "bad.onnx").write_bytes(proto.SerializeToString())
    message = refused(folder, 3, *run("--output-name", "logits", model="bad.onnx"))
    assert "node '/5/Gemm', op Gemm, opset 17" in message
    assert "shared with 'twin'" in message


# Options


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "k"], "--set 'k': expected NAME=VALUE"),
        (["--set", "=3"], "--set '=3': expected NAME=VALUE"),
        (["--set", "k=3"], "method 'auto' has no parameter 'k'"),
        (
            ["--method", "lra-npp", "--set", "kk=3"],
            "method 'lra-npp' has no parameter 'kk'; known: k, m, layers, subtract, perturb",
        ),
        (["--method", "lra-npp", "--set", "k=0"], "k=0; expected a whole number ≥ 1"),
        (["--method", "lra-npp", "--set", "k=x"], "k='x'; expected a whole number ≥ 1"),
        (["--method", "lra-npp", "--set", "perturb=[1]"], "unknown perturbation '[1]'"),
        (["--method", "mask", "--set", "low=NaN"], "low=nan; expected a finite number"),
        (
            ["--method", "magic"],
            "unknown method 'magic'; known: auto, damp, erase, esc, head, leace, lra-npp, mask, ",
        ),
        (["--depth", "deepest"], "Invalid value for '--depth': 'deepest' is not one of 'last-block', 'deep'"),
        (["--depth", "deep", "--method", "mask"], "method 'mask' has no parameter 'depth'"),
        (["--set", "depth=7"], "auto: depth=7; expected last-block or deep"),
        (["--composite", "alchemy"], "unknown composite 'alchemy'"),
        (["--composite", "gamma(delta=1)"], "no parameter 'delta'"),
        (["--composite", "gamma(("], "composite 'gamma(('"),
        (["--providers", "tpu"], "--providers 'tpu': expected cpu, cuda or both"),
        (["--providers", ","], "--providers ',': expected cpu, cuda or both"),
        (["--engine", "abacus"], "Invalid value for '--engine': 'abacus' is not one of"),
        (["--batch-size", "0"], "Invalid value for '--batch-size'"),
        (["--max-retain-drop", "101"], "Invalid value for '--max-retain-drop'"),
        (["--max-retain-drop", "nan"], "max_retain_drop=nan"),
        (["--seed", "-1"], "Invalid value for '--seed'"),
        (["--output-name", "nothing"], "no output 'nothing'; the model has: logits"),
        (["--labels", "nothing.txt"], "nothing.txt: no such file"),
        (["--preprocess", "nothing.json"], "nothing.json: preprocessing is for image folders"),
        (["-o", "."], ".: is a folder"),
        (["-o", "nowhere/out.onnx"], "the folder nowhere does not exist"),
        (["--report", "nowhere"], "the folder nowhere does not exist"),
        (["--frobnicate"], "No such option '--frobnicate'"),
        (["more.onnx"], "unexpected extra argument"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options(folder: Path, more: list[str], message: str) -> None:
    assert message in refused(folder, 2, *run(*more))


@pytest.mark.parametrize("forget", ["10", "-1", "", "3,", "three", "3.0", "0,1,2,3,4,5,6,7,8,9"])
def test_classes(folder: Path, forget: str) -> None:
    refused(folder, 2, *run(forget=forget))


def test_class_names_that_do_not_fit(folder: Path) -> None:
    assert "unknown class 'dres'" in refused(folder, 2, *run("--labels", FASHION_LABELS, forget="dres"))
    (folder / "few.txt").write_text("cat\ndog\n")
    assert "2 labels for a model with 10 classes" in refused(
        folder, 2, *run("--labels", "few.txt", forget="cat")
    )


def test_commands(folder: Path) -> None:
    assert "No such command 'frobnicate'" in refused(folder, 2, "frobnicate")
    assert "Missing argument 'MODEL'" in refused(folder, 2, "run")
    assert "give --forget CLASS, or --forget-samples PATH" in refused(folder, 2, "run", "m.onnx")
    assert "Missing argument 'EDITED'" in refused(folder, 2, "diff", "m.onnx")


# Data


def write(name: str, **arrays: object) -> str:
    np.savez(name, **{k: np.asarray(v) for k, v in arrays.items()})  # type: ignore[arg-type]
    return name


def test_no_data(folder: Path) -> None:
    assert "no such file" in refused(folder, 2, *run(data="nothing.npz"))


def test_data_that_does_not_fit(folder: Path) -> None:
    x, y = probes()["x"], probes()["y"]
    for name, message in (
        (write("flat.npz", x=x.reshape(80, -1), y=y), "has shape 80 × 784, the model takes N × 1 × 28 × 28"),
        (write("names.npz", image=x, y=y), "no array for input 'x', it has 'image'"),
        (write("short.npz", x=x, y=y[:10]), "y has shape (10,) for 80 samples"),
        (write("range.npz", x=x, y=y + 5), "expected integers 0..9"),
        (write("nan.npz", x=np.where(x > 1, np.nan, x), y=y), "expected finite numbers"),
        (write("none.npz", x=x[:0], y=y[:0]), "is empty"),
        (write("others.npz", x=x[y != 3], y=y[y != 3]), "0 probes of class 3"),
    ):
        assert message in refused(folder, 2, *run(data=name)), name


def test_data_that_is_damaged(folder: Path) -> None:
    (folder / "half.npz").write_bytes((folder / "probes.npz").read_bytes()[:5000])
    assert "half.npz: damaged or truncated" in refused(folder, 2, *run(data="half.npz"))
    (folder / "text.npz").write_text("hello")
    assert "text.npz: not a NumPy file" in refused(folder, 2, *run(data="text.npz"))
    np.save("objects.npy", np.array([{}], object), allow_pickle=True)
    assert "pickled Python objects" in refused(folder, 2, *run(data="objects.npy"))


def test_a_loader_that_fails(folder: Path) -> None:
    (folder / "loader.py").write_text("def load():\n    raise RuntimeError('two\\nlines')\n")
    message = refused(folder, 2, *run(data="loader.py:load"))
    assert "raised RuntimeError: two lines in line 2" in message


def test_a_disk_that_is_full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert "m.unlearned.onnx: cannot be written (No space left on device)" in refused(folder, 2, *run())


def test_a_bug_is_not_a_missed_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """1 means that a target was missed; what is our fault must not look like it."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(import_module("onnxunlearn.unlearn"), "unlearn", broken)
    ran = onnxunlearn("run", MLP, "--forget", 3, "--dry-run")
    assert ran.code == 70
    assert "ZeroDivisionError: oh" in ran.err
    assert "this is a bug; please report it" in ran.err
