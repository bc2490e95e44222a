"""Files that list their weights as inputs, all (IR 3) or some of them, work as others do."""

import numpy as np
import onnx
import pytest
from onnx import helper

import onnxunlearn
from onnxunlearn.engines import create_engine
from onnxunlearn.graph import FileBytes, load
from onnxunlearn.judge import diff
from onnxunlearn.lowering import lower, unlist
from onnxunlearn.methods.catalogue import catalogue
from tests.small_network import W1, X, array, columns, loaded, logits_of, network, weights_as_inputs

DATA = {"x": X, "y": columns()}
METHODS = [entry.name for entry in catalogue() if entry.name != "scatter"]  # which is for embeddings
QUICK = {"erase": {"steps": 20}}


def some_listed() -> onnx.ModelProto:
    """IR 8, a default value for one weight."""
    model = network()
    info = helper.make_tensor_value_info("W1", onnx.TensorProto.FLOAT, W1.shape)
    model.graph.input.append(info)
    return model


FILES = {"IR 3": weights_as_inputs, "IR 8": lambda: weights_as_inputs(17, 8), "one of them": some_listed}


@pytest.mark.parametrize("file", FILES)
def test_they_become_constants(file: str) -> None:
    model = loaded(FILES[file]())
    plain = unlist(model)
    assert [i.name for i in plain.graph.input] == ["x"]
    assert plain.proto.ir_version >= 4
    assert plain.origin is model
    assert lower(plain) is plain
    for engine in ("onnxruntime", "numpy", "torch"):
        values = create_engine(engine).session(plain.proto).run({"x": X})
        np.testing.assert_allclose(values["logits"], logits_of(), rtol=1e-4, atol=1e-4)


def test_other_files_are_left_alone() -> None:
    model = loaded(network())
    assert unlist(model) is model


def test_a_sparse_weight_may_be_listed() -> None:
    model = network()
    weight = next(t for t in model.graph.initializer if t.name == "W1")
    model.graph.initializer.remove(weight)
    model.graph.input.append(helper.make_tensor_value_info("W1", onnx.TensorProto.FLOAT, W1.shape))
    sparse = model.graph.sparse_initializer.add(dims=W1.shape)
    sparse.values.CopyFrom(array("W1", W1.reshape(-1)))
    sparse.indices.CopyFrom(array("", np.arange(W1.size)))
    read = onnxunlearn.graph.Model(FileBytes(model.SerializeToString()), model)
    assert [i.name for i in read.inputs] == ["x"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("file", ["IR 3", "one of them"])
def test_every_method_does_what_it_does_without(file: str, method: str) -> None:
    """To the last bit of every weight."""
    found = []
    for proto in (FILES[file](), network(opset=8 if file == "IR 3" else 17)):
        result = onnxunlearn.unlearn(
            loaded(proto), 3, DATA, method=method, parameters=QUICK.get(method), max_retain_drop=5
        )
        edited = load(result.model_bytes)
        found.append((result.report["method"], {n: edited.array(n) for n in edited.stored}))
    (ours, weights), (theirs, expected) = found
    assert ours == theirs
    for name, values in weights.items():
        np.testing.assert_array_equal(values, expected[name])


@pytest.mark.parametrize("engine", ["onnxruntime", "numpy", "torch"])
def test_the_other_commands(engine: str) -> None:
    model, plain = loaded(weights_as_inputs()), loaded(network(opset=8))
    found = onnxunlearn.inspect(model, engine=engine)
    assert found.ir_version == 3
    assert list(found.inputs) == ["x"]
    assert found.obstacle is None
    ours, theirs = (
        onnxunlearn.explain(m, DATA, "predicted", tensors="all", engine=engine) for m in (model, plain)
    )
    assert list(ours) == ["x", "a", "z", "logits"]
    for name, relevance in ours.items():
        np.testing.assert_array_equal(relevance, theirs[name])
    result = onnxunlearn.unlearn(model, 3, DATA, engine=engine, max_retain_drop=100)
    assert result.report["method"]["details"]["chosen"] == "erase"
    edited = load(result.model_bytes)
    assert edited.proto.ir_version == 3
    assert diff(model, edited).others == ()
    judged = onnxunlearn.examine(model, edited, 3, DATA, engine=engine, by_layer=False)
    assert judged.accuracies["edited"].forget == 0
