"""Models made to do harm, or broken as no exporter would: one line, exit 2 or 3, nothing written."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from ..sample_paths import MLP, mlp
from .command import contents, onnxunlearn
from .test_bad_input import refused, run


def rewired(node: int, name: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        model.graph.node[node].input[0] = name

    return change


def weight(**fields: Any) -> Callable[[onnx.ModelProto], None]:
    """Other fields for the first layer's weight, which keeps its name."""

    def change(model: onnx.ModelProto) -> None:
        tensor = next(t for t in model.graph.initializer if t.name == "1.weight")
        same: dict[str, Any] = {"data_type": 1, "dims": [128, 784], "raw_data": tensor.raw_data}
        tensor.CopyFrom(T(name="1.weight", **{**same, **fields}))

    return change


def another(field: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        content = getattr(model.graph, field)
        content.add().CopyFrom(content[0])

    return change


def endless(model: onnx.ModelProto) -> None:
    call = helper.make_node("f", ["x"], ["y"], domain="l")
    function = helper.make_function("l", "f", ["x"], ["y"], [call], [helper.make_opsetid("l", 1)])
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("l", 1))


def exploding(model: onnx.ModelProto) -> None:
    opsets = [helper.make_opsetid("l", 1), helper.make_opsetid("", 17)]
    for i in range(40):
        two = [helper.make_node(f"f{i + 1}", [a], [b], domain="l") for a, b in (("x", "t"), ("t", "y"))]
        model.functions.append(helper.make_function("l", f"f{i}", ["x"], ["y"], two, opsets))
    relu = [helper.make_node("Relu", ["x"], ["y"])]
    model.functions.append(helper.make_function("l", "f40", ["x"], ["y"], relu, opsets))
    model.opset_import.append(opsets[0])
    model.graph.node.insert(0, helper.make_node("f0", ["x"], ["called"], domain="l"))


def ends(location: str, **entries: int) -> Callable[[onnx.ModelProto], None]:
    keys = {"location": location, **{k: str(v) for k, v in entries.items()}}
    stored = [onnx.StringStringEntryProto(key=k, value=v) for k, v in keys.items()]
    return weight(raw_data=None, data_location=T.EXTERNAL, external_data=stored)


BYTES = 128 * 784 * 4


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (rewired(0, "logits"), 2, "topologically sorted"),
        (rewired(1, "nowhere"), 2, "topologically sorted"),
        (another("initializer"), 2, "two initializers are called '1.weight'"),
        (another("input"), 2, "two inputs are called 'x'"),
        (another("output"), 2, "two outputs are called 'logits'"),
        (another("node"), 2, "single static assignment"),
        (
            weight(dims=np.array([2**20, 2**20])),
            2,
            "should hold 4,398,046,511,104 bytes, but raw_data holds 401,408",
        ),
        (weight(dims=np.array([2**40])), 2, "should hold 4,398,046,511,104 bytes"),
        (weight(dims=[-128, 784]), 2, "negative size (-128 × 784)"),
        (weight(dims=[128, 785]), 2, "should hold 401,920 bytes"),
        (weight(raw_data=b""), 2, "raw_data holds 0"),
        (weight(data_type=99), 2, "element type 99, which is not known"),
        (ends("../data", offset=0), 2, "outside the model's folder"),
        (ends("/etc/passwd"), 2, "outside the model's folder"),
        (ends("link"), 2, "outside the model's folder"),
        (ends("nothing"), 2, "'nothing', which does not exist"),
        (ends("data", offset=1), 2, f"too short ({BYTES:,} of {BYTES + 1:,} bytes)"),
        (ends("data", offset=-1), 2, "offset '-1', expected a number of bytes"),
        (ends("data", length=BYTES - 4), 2, "but its sizes ask for 401,408"),
        (endless, 2, "function l::f calls itself"),
        (exploding, 3, "written out, its functions make 3,298,534,883,332 nodes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused(folder: Path, change: Callable[[onnx.ModelProto], None], code: int, message: str) -> None:
    model = mlp()
    change(model)
    (folder / "below").mkdir()
    (folder / "data").write_bytes(bytes(BYTES))
    (folder / "below" / "data").write_bytes(bytes(BYTES))
    (folder / "below" / "link").symlink_to("../data")
    (folder / "below" / "bad.onnx").write_bytes(model.SerializeToString())
    for command in (
        run(model="below/bad.onnx"),
        ["inspect", "below/bad.onnx"],
        ["diff", "m.onnx", "below/bad.onnx"],
    ):
        assert message in refused(folder, code, *command)


def with_constant(*nodes: onnx.NodeProto, **stored: np.ndarray) -> bytes:
    """`c` is added to the logits."""
    model = mlp()
    model.graph.node[-1].output[0] = "plain"
    model.graph.node.extend([*nodes, helper.make_node("Add", ["plain", "c"], ["logits"])])
    model.graph.initializer.extend(numpy_helper.from_array(v, n) for n, v in stored.items())
    return model.SerializeToString()


@pytest.mark.parametrize(
    "data",
    [
        with_constant(helper.make_node("ConstantOfShape", ["s"], ["c"]), s=np.array([2**20, 2**20, 1])),
        with_constant(
            helper.make_node("Expand", ["a", "s"], ["c"]),
            a=np.ones((1, 1), np.float32),
            s=np.array([2**40, 10]),
        ),
        with_constant(
            helper.make_node("Reshape", ["a", "s"], ["c"]),
            a=np.zeros(10, np.float32),
            s=np.array([2**40, 10]),
        ),
    ],
    ids=["ConstantOfShape", "Expand", "Reshape"],
)
def test_constants_that_would_fill_the_memory(folder: Path, data: bytes) -> None:
    (folder / "bad.onnx").write_bytes(data)
    before = contents(folder)
    for command in (run(model="bad.onnx"), ["inspect", "bad.onnx"]):
        ran = onnxunlearn(*command)
        assert ran.code in ((2, 3) if command[0] == "run" else (0, 2, 3)), ran
        assert len(ran.err.splitlines()) <= 1
    assert contents(folder) == before


def damaged(value: float, tensor: str = "3.weight") -> bytes:
    model = mlp()
    stored = next(t for t in model.graph.initializer if t.name == tensor)
    values = numpy_helper.to_array(stored).copy()
    values.flat[:2] = value
    stored.CopyFrom(numpy_helper.from_array(values, tensor))
    return model.SerializeToString()


@pytest.mark.parametrize(("value", "counts"), [(np.nan, "2 NaN and 0"), (np.inf, "0 NaN and 2")])
def test_weights_that_are_not_numbers(folder: Path, value: float, counts: str) -> None:
    """stderr says so; where the scores are none either there is nothing to judge."""
    (folder / "nan.onnx").write_bytes(damaged(value))
    expected = f"tensor '3.weight' holds {counts} infinite values of "
    ran = onnxunlearn(*run("--json", model="nan.onnx"))
    assert (ran.code, ran.out) == (2, "")
    warning, refusal = ran.err.splitlines()
    assert warning.startswith(f"onnxunlearn: warning: nan.onnx: {expected}")
    assert "scores are not finite on 80 of 80 probes" in refusal
    assert expected in onnxunlearn("inspect", "nan.onnx").err
    assert expected in json.loads(onnxunlearn("inspect", "nan.onnx", "--json").out)["warnings"][0]


def test_an_infinite_weight_that_only_hides_a_class(folder: Path) -> None:
    """It runs, and the report and stderr say so."""
    (folder / "hidden.onnx").write_bytes(damaged(-np.inf, "5.bias"))
    expected = "tensor '5.bias' holds 0 NaN and 2 infinite values of 10; "
    ran = onnxunlearn(*run("--json", "--method", "mask", model="hidden.onnx"))
    assert ran.code == 1, ran
    assert ran.err.startswith(f"onnxunlearn: warning: hidden.onnx: {expected}")
    assert len(ran.err.splitlines()) == 1
    (warning,) = json.loads(ran.out)["warnings"]
    assert warning.startswith(expected)


@pytest.mark.parametrize("way", ["itself", "another way", "symlink", "hard link"])
def test_the_output_is_the_input(folder: Path, way: str) -> None:
    out = "m.onnx" if way == "itself" else "out.onnx"
    if way == "another way":
        out = f"../{folder.name}/m.onnx"
    elif way == "symlink":
        Path(out).symlink_to("m.onnx")
    elif way == "hard link":
        os.link("m.onnx", out)
    assert "is the input model, which is never written" in refused(folder, 2, *run("-o", out, "--overwrite"))


def test_the_report_is_the_input(folder: Path) -> None:
    shutil.copy(MLP, "new.report.json")
    message = refused(folder, 2, *run("-o", "new.onnx", "--overwrite", model="new.report.json"))
    assert "is the input model, which is never written" in message


def test_a_device(folder: Path) -> None:
    assert "is a device or a pipe" in refused(folder, 2, *run("-o", "/dev/null", "--overwrite"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-o", ""), "the path of an output is empty; give the path of the file to write"),
        (("-o", "new/"), "new/: is the name of a folder; give the path of the file to write"),
        (("-o", "-"), "-: nothing but text goes to stdout; give a path (./- for a file of that name)"),
        (("--report", ""), "the path of an output folder is empty; give one, or . for this folder"),
        (("--report", "new"), "new/m.unlearned.report.json: the folder new does not exist; create it first"),
    ],
)
def test_paths_of_nothing(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    """A variable that was never set, a folder to be, stdout: no file is made of that name."""
    assert message in refused(folder, 2, *run(*arguments))


def test_a_report_that_cannot_be_written_takes_the_model_with_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def only_the_model(source: Path, target: Path) -> None:
        if target.suffix == ".onnx":
            raise PermissionError(1, "Operation not permitted")
        replace(source, target)

    monkeypatch.setattr(os, "replace", only_the_model)
    assert "m.unlearned.onnx: cannot be written" in refused(folder, 2, *run())


def test_names_do_not_steer_the_terminal(folder: Path) -> None:
    model = mlp()
    model.graph.node[1].name = "\x1b[2Jgone\nand\x07 away"
    model.graph.node[3].op_type = "\x1b]0;title\x07"
    model.graph.node[3].domain = "\x1b[31m"
    model.opset_import.append(helper.make_opsetid("\x1b[31m", 1))
    (folder / "odd.onnx").write_bytes(model.SerializeToString())
    ran = onnxunlearn("inspect", "odd.onnx")
    assert ran.code == 0
    assert "\x1b" not in ran.out + ran.err
    assert r"\x1b[2Jgone\nand\x07 away" in ran.out
    assert "\x1b" not in refused(folder, 3, *run(model="odd.onnx"))


def test_long_messages_are_cut(folder: Path) -> None:
    model = mlp()
    model.graph.node[1].name = "n" * 100_000
    model.graph.node[1].op_type = "Nothing"
    (folder / "long.onnx").write_bytes(model.SerializeToString())
    assert len(refused(folder, 2, "inspect", "long.onnx")) < 3000


@pytest.mark.parametrize(
    ("value", "message"),
    [("9" * 500, "; expected a whole number 1…2147483647"), ("[" * 1500, "; expected a whole number ≥ 1")],
)
def test_settings_beyond_numbers(folder: Path, value: str, message: str) -> None:
    ran = onnxunlearn(*run("--method", "lra-npp", "--set", f"k={value}"))
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert message in ran.err
