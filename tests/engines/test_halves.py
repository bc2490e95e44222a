"""Widened weights reach the engine as halves, each with a Cast just before its first reader."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnxunlearn.engines import create_engine, onnxruntime
from onnxunlearn.engines.halves import with_casts
from onnxunlearn.graph import Model, expose, load
from onnxunlearn.lowering import lower
from tests.graph.models import build, numbers, tensor, value

A, B = (numbers(4, 4, seed=s).astype(np.float16) for s in (0, 1))
X = numbers(2, 4, seed=2)


@pytest.fixture
def model(tmp_path: Path) -> Model:
    """y = x·a if its first element is positive, else x·b·b, lowered; a is read inside an If alone, which also
    gives c out as it is."""
    half = TensorProto.FLOAT16

    def branch(name: str, node: onnx.NodeProto) -> onnx.GraphProto:
        return helper.make_graph([node], name, [], [value(f"{name}.y", ["N", 4], half)])

    nodes = [
        helper.make_node("Cast", ["x"], ["h"], to=half),
        helper.make_node("MatMul", ["h", "b"], ["hb"]),
        helper.make_node("MatMul", ["hb", "b"], ["hbb"]),
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
        helper.make_node("Greater", ["most", "limit"], ["positive"]),
        helper.make_node(
            "If",
            ["positive"],
            ["y"],
            then_branch=branch("then", helper.make_node("MatMul", ["h", "a"], ["then.y"])),
            else_branch=branch("else", helper.make_node("Identity", ["hbb"], ["else.y"])),
        ),
    ]
    weights = [tensor("a", A), tensor("b", B), tensor("c", A), tensor("limit", np.zeros((), np.float32))]
    proto = build(
        nodes, [value("x", ["N", 4])], [value("y", ["N", 4], half), value("c", [4, 4], half)], weights
    )
    path = tmp_path / "m.onnx"
    onnx.save(proto, path, save_as_external_data=True, location="m.data", size_threshold=8)
    return lower(load(path))


def test_each_is_cast_once_just_before_it_is_read(model: Model) -> None:
    seen = with_casts(model.proto)
    stored = {t.name: t.data_type for t in seen.graph.initializer}
    assert stored == {
        "a / stored": TensorProto.FLOAT16,
        "b / stored": TensorProto.FLOAT16,
        "c / stored": TensorProto.FLOAT16,
        "limit": TensorProto.FLOAT,
    }
    order = [node.output[0] for node in seen.graph.node]
    assert [order[order.index(n) + 1] for n in ("a", "b")] == ["y", "hb"]
    assert sorted(order) == sorted([*(n.outputs[0] for n in model.nodes), "a", "b", "c"])


@pytest.mark.parametrize("large", [False, True])
def test_the_engine_computes_what_the_widened_model_says(
    model: Model, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "_LARGE", 0 if large else onnxruntime._LARGE)
    session = create_engine("onnxruntime").session(model.proto, model.folder)
    a, b = A.astype(np.float32), B.astype(np.float32)
    for x, y in ((np.abs(X), np.abs(X) @ a), (-np.abs(X), -np.abs(X) @ b @ b)):
        values = session.run({"x": x})
        np.testing.assert_allclose(values["y"], y, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(values["c"], a)


def test_one_that_is_fed_is_no_longer_stored(model: Model) -> None:
    trial = create_engine("onnxruntime").session(expose(model, ["hbb"], fed=["b"]), model.folder)
    x, b = np.abs(X), 2 * B.astype(np.float32)
    np.testing.assert_allclose(trial.run({"x": x, "b": b})["hbb"], x @ b @ b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("large", [False, True])
def test_listed_among_the_inputs(model: Model, large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As until IR 4 all initializers are: memory holds the halves of these, too."""
    monkeypatch.setattr(onnxruntime, "_LARGE", 0 if large else onnxruntime._LARGE)
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    proto.ir_version = 3
    for stored in model.initializers.values():
        proto.graph.input.append(
            helper.make_tensor_value_info(stored.name, stored.data_type, list(stored.dims))
        )
    seen = with_casts(proto)
    assert [i.name for i in seen.graph.input] == ["x"]
    assert {t.data_type for t in seen.graph.initializer if t.name != "limit"} == {TensorProto.FLOAT16}
    values = create_engine("onnxruntime").session(proto, model.folder).run({"x": np.abs(X)})
    np.testing.assert_allclose(values["y"], np.abs(X) @ A.astype(np.float32), rtol=1e-4, atol=1e-5)


def test_halves_elsewhere_are_widened_in_the_message(tmp_path: Path) -> None:
    """In a subgraph's initializers and in Constant nodes, where no engine looks for what was widened."""
    half = TensorProto.FLOAT16

    def stored(name: str) -> onnx.TensorProto:
        made = tensor(name, A)
        made.ClearField("raw_data")
        made.data_location = TensorProto.EXTERNAL
        for key, entry in (("location", "m.data"), ("offset", "0"), ("length", str(A.nbytes))):
            made.external_data.add(key=key, value=entry)
        return made

    (tmp_path / "m.data").write_bytes(A.tobytes() + bytes(A.nbytes))
    inner = helper.make_graph(
        [helper.make_node("MatMul", ["h", "inner"], ["branch"])],
        "branch",
        [],
        [value("branch", ["N", 4], half)],
        [stored("inner")],
    )
    other = helper.make_graph(
        [helper.make_node("MatMul", ["h", "w"], ["other"])], "other", [], [value("other", ["N", 4], half)]
    )
    nodes = [
        helper.make_node("Constant", [], ["w"], value=stored("w")),
        helper.make_node("Cast", ["x"], ["h"], to=half),
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
        helper.make_node("Greater", ["most", "limit"], ["positive"]),
        helper.make_node("If", ["positive"], ["y"], then_branch=inner, else_branch=other),
    ]
    limit = tensor("limit", np.zeros((), np.float32))
    proto = build(nodes, [value("x", ["N", 4])], [value("y", ["N", 4], half)], [limit])
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    seen = lower(load(tmp_path / "m.onnx"))
    session = create_engine("onnxruntime").session(seen.proto, seen.folder)
    for x in (np.abs(X), -np.abs(X)):
        np.testing.assert_allclose(session.run({"x": x})["y"], x @ A.astype(np.float32), rtol=1e-4, atol=1e-5)


RUN = """
import sys
from pathlib import Path
import numpy as np
from onnxunlearn.engines import create_engine, onnxruntime
from onnxunlearn.graph import load
from onnxunlearn.lowering import lower

def most():  # of this process alone; ru_maxrss knows its parent's, too
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024

onnxruntime._LARGE = 0
model = load(Path(sys.argv[1]))
seen = model if sys.argv[2] == "file" else lower(model)
before = most()
x = np.zeros((1, 2048), np.float16)
create_engine("onnxruntime").session(seen.proto, seen.folder).run({"x": x})
print(most() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("what", ["file", "lowered"])
def test_memory_holds_the_halves(tmp_path: Path, what: str) -> None:
    """Twelve layers of 8 MiB: widened at once they would take 192 on top of their 96."""
    half, layers = TensorProto.FLOAT16, 12
    rng = np.random.default_rng(0)
    weights = [
        tensor(f"w{i}", rng.random((2048, 2048), np.float32).astype(np.float16)) for i in range(layers)
    ]
    nodes = [
        helper.make_node("MatMul", ["x" if i == 0 else f"h{i}", f"w{i}"], [f"h{i + 1}"])
        for i in range(layers)
    ]
    inputs, outputs = [value("x", ["N", 2048], half)], [value(f"h{layers}", ["N", 2048], half)]
    path = tmp_path / "m.onnx"
    onnx.save(
        build(nodes, inputs, outputs, weights),
        path,
        save_as_external_data=True,
        location="m.data",
        size_threshold=8,
    )
    ran = subprocess.run([sys.executable, "-c", RUN, path, what], capture_output=True, text=True, check=True)
    assert float(ran.stdout) < 96 + 96


def test_a_model_without_any_is_itself(model: Model) -> None:
    proto = onnx.load(model.folder / "m.onnx", load_external_data=False) if model.folder else None
    assert proto is not None
    assert with_casts(proto) is proto
