"""Weights that stay where the file's bytes lie: to whoever asks, the model is the same."""

import copy
import gc
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from onnxunlearn.engines.numpy import NumpyEngine
from onnxunlearn.engines.onnxruntime import OnnxRuntimeEngine
from onnxunlearn.engines.torch import TorchEngine
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Edited, FileBytes, Model, Snapshot, load, patch
from onnxunlearn.graph import held as held_module
from onnxunlearn.graph.held import large_weights, parsed
from onnxunlearn.graph.wire import varint
from onnxunlearn.judge import diff
from onnxunlearn.lowering import lower

SAMPLES = Path(__file__).parents[2] / "sample_models"


@pytest.fixture
def all_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """All weights count as large; not what shapes are computed from."""
    for name in ("_LARGE", "_MUCH"):
        monkeypatch.setattr(held_module, name, 40)


def both(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Model, Model]:
    """Loaded as ever, and with its weights held."""
    plain = load(path)
    for name in ("_LARGE", "_MUCH"):
        monkeypatch.setattr(held_module, name, 40)
    held = load(path)
    assert held.lent
    assert not plain.lent
    return plain, held


@pytest.mark.parametrize("name", ["mnist_cnn", "fashion_mobile", "mnist_resnet"])
def test_the_same_model(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, held = both(SAMPLES / f"{name}.onnx", monkeypatch)
    assert held.content == plain.content
    assert held.proto.ByteSize() < plain.proto.ByteSize()
    for tensor in plain.stored:
        np.testing.assert_array_equal(held.array(tensor), plain.array(tensor))
        assert held.array(tensor).dtype == plain.array(tensor).dtype
    assert held.shapes == plain.shapes
    assert held.element_types == plain.element_types
    assert diff(plain, held).equal


@pytest.mark.parametrize("engine", [OnnxRuntimeEngine(threads=1), NumpyEngine(), TorchEngine()])
@pytest.mark.parametrize("name", ["mnist_cnn", "fashion_mobile", "mnist_resnet"])
def test_the_same_scores(
    name: str,
    engine: OnnxRuntimeEngine | NumpyEngine | TorchEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain, held = both(SAMPLES / f"{name}.onnx", monkeypatch)
    x = np.load(SAMPLES / f"{name.split('_')[0]}_probes.npz")["x"][:5]
    feeds = {plain.inputs[0].name: x}
    for one, two in ((plain, held), (lower(plain), lower(held))):
        before, after = (engine.session(m.proto, m.folder).run(feeds) for m in (one, two))
        for output, values in before.items():
            np.testing.assert_array_equal(after[output], values)


@pytest.mark.usefixtures("all_held")
def test_an_edit_shares_all_other_weights(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes((SAMPLES / "mnist_cnn.onnx").read_bytes())
    model = load(path)
    name = max(model.lent, key=lambda n: model.lent[n].size)
    new = model.array(name) + 1
    edited = Edited.of(model, {name: new})
    np.testing.assert_array_equal(edited.model().array(name), new)
    for other in model.lent.keys() - {name}:
        assert np.shares_memory(edited.model().array(other), model.array(other))
    assert edited.data == path.read_bytes().replace(model.array(name).tobytes(), new.tobytes())
    edited.save(tmp_path / "out.onnx")
    assert (tmp_path / "out.onnx").read_bytes() == edited.data
    found = diff(model, edited.model())
    assert [t.name for t in found.tensors] == [name]
    assert not found.others
    assert found.bytes == sum(a != b for a, b in zip(model.data, edited.data, strict=True))


@pytest.mark.usefixtures("all_held")
def test_a_file_that_changed_is_not_the_same(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes((SAMPLES / "mnist_mlp.onnx").read_bytes())
    seen = Snapshot.of(load(path))
    seen.check()
    data = path.read_bytes()
    for changed in (data[:-1], data + b"!", data[:-1] + b"!"):
        path.write_bytes(changed)
        with pytest.raises(InputError, match="changed"):
            seen.check()


def model_of(tensor: onnx.TensorProto) -> onnx.ModelProto:
    info = onnx.helper.make_tensor_value_info
    nodes = [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])]
    inputs, outputs = [info("x", 1, ["n", 4])], [info("y", 1, ["n", 3])]
    graph = onnx.helper.make_graph(nodes, "g", inputs, outputs, [tensor])
    return onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 17)])


def stored() -> onnx.TensorProto:
    return numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(4, 3), "w")


@pytest.mark.usefixtures("all_held")
def test_wherever_it_lies_in_the_file() -> None:
    """Arrays of its type can begin at any byte."""
    for shift in range(8):
        proto = model_of(stored())
        proto.graph.name = "g" * (1 + shift)
        model = load(proto.SerializeToString())
        np.testing.assert_array_equal(model.array("w"), np.arange(12).reshape(4, 3))
        assert model.array("w").flags.aligned
        assert patch(model, {"w": -model.array("w")}) == patch(
            load(patch(model, {})), {"w": -model.array("w")}
        )


@pytest.mark.usefixtures("all_held")
def test_what_is_not_plain_stays_in_the_message() -> None:
    typed, external, short, packed = (stored() for _ in range(4))
    typed.CopyFrom(onnx.helper.make_tensor("w", 1, [4, 3], range(12)))
    external.external_data.add(key="location", value="w.bin")
    short.raw_data = short.raw_data[:-4]
    packed.CopyFrom(onnx.helper.make_tensor("w", onnx.TensorProto.INT4, [4, 3], bytes(6), raw=True))
    for tensor in (typed, external, short, packed):
        assert not large_weights(FileBytes(model_of(tensor).SerializeToString()))
    assert len(large_weights(FileBytes(model_of(stored()).SerializeToString()))) == 1
    once = model_of(stored()).SerializeToString()
    graph = onnx.ModelProto.FromString(once).graph.SerializeToString()
    assert not large_weights(FileBytes(once, bytes([7 << 3 | 2]) + varint(len(graph)), graph))


@pytest.mark.usefixtures("all_held")
def test_a_file_that_is_cut_off_is_protobufs_to_judge() -> None:
    data = model_of(stored()).SerializeToString()

    def refused(read: Callable[[bytes], object], part: bytes) -> bool:
        try:
            read(part)
        except DecodeError:
            return True
        return False

    cut_off = [data[:end] for end in range(len(data))]
    told = [refused(onnx.ModelProto.FromString, part) for part in cut_off]
    assert told == [refused(lambda data: parsed(FileBytes(data)), part) for part in cut_off]
    assert any(told)
    assert not all(told)
    assert not large_weights(FileBytes(bytes(1 << 22)))


def test_a_large_model_is_in_memory_once() -> None:
    weight = np.ones((4096, 2048), np.float32)
    tensor = numpy_helper.from_array(weight, "w")
    data = model_of(tensor).SerializeToString()
    proto, held = parsed(FileBytes(data))
    assert proto.ByteSize() < 1000
    np.testing.assert_array_equal(held["w"], weight)


@pytest.mark.usefixtures("all_held")
def test_a_copy_stands_for_itself() -> None:
    model = load(SAMPLES / "mnist_mlp.onnx")
    name = next(iter(model.lent))
    wanted = model.array(name).copy()
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    del model
    gc.collect()
    for own in copies:
        np.testing.assert_array_equal(own.array(name), wanted)


@pytest.mark.usefixtures("all_held")
def test_a_large_weight_that_is_an_input_nobody_reads() -> None:
    proto = onnx.load(SAMPLES / "mnist_mlp.onnx")
    proto.graph.initializer.append(numpy_helper.from_array(np.ones((40, 40), np.float32), "unused"))
    proto.graph.input.append(onnx.helper.make_tensor_value_info("unused", onnx.TensorProto.FLOAT, [40, 40]))
    model = load(proto.SerializeToString())
    assert "unused" in model.lent
    x = np.zeros((1, 1, 28, 28), np.float32)
    feeds = {model.inputs[0].name: x}
    plain = OnnxRuntimeEngine(threads=1).session(proto, SAMPLES).run(feeds)
    held = OnnxRuntimeEngine(threads=1).session(model.proto, SAMPLES).run(feeds)
    for output, values in plain.items():
        np.testing.assert_array_equal(held[output], values)
