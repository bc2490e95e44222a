"""Networks whose only matrix product is the head: erase changes what is before it, embeddings and cells."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from onnxunlearn.edits import Edits
from onnxunlearn.engines import create_engine
from onnxunlearn.engines.torch import import_model
from onnxunlearn.graph import find_logits, load, patch
from onnxunlearn.judge import relearn
from onnxunlearn.methods import Workbench
from onnxunlearn.methods.auto import part_of
from onnxunlearn.methods.erase.erase import erase
from onnxunlearn.methods.ssd import fisher
from onnxunlearn.probes import Probes
from onnxunlearn.relevance import parse_composite

CLASSES, SAMPLES, HIDDEN = 4, 200, 12
TEXTS = {
    "cells": """<ir_version: 8, opset_import: ["": 17]>
        cells (float[N, 6, 5] x) => (float[N, 4] y)
        <float[1, 48, 5] w, float[1, 48, 12] r, float[1, 96] b, int64[1] first = {0}, float[12, 4] v,
         float[4] c>
        { t = Transpose<perm = [1, 0, 2]>(x)  , h = LSTM<hidden_size = 12>(t, w, r, b)  f = Squeeze(h, first)
          y = Gemm(f, v, c) }""",
    "bag": """<ir_version: 8, opset_import: ["": 17]>
        bag (int64[N, 6] x) => (float[N, 4] y)
        <float[20, 12] t, float[12] g, float[12] s, float[12, 4] v, float[4] c>
        { e = Gather(t, x)  m = ReduceMean<axes = [1], keepdims = 0>(e)  n = LayerNormalization(m, g, s)
          f = Tanh(n)  y = Gemm(f, v, c) }""",
}


def network(name: str) -> tuple[onnx.ModelProto, np.ndarray, np.ndarray]:
    """A random network with a head that is fitted, and samples that it can tell apart."""
    rng = np.random.default_rng(0)
    proto = parser.parse_model(TEXTS[name])
    for info in proto.graph.value_info:  # what has no values
        shape = [d.dim_value for d in info.type.tensor_type.shape.dim]
        values = rng.normal(size=shape).astype(np.float32) / 2 + (info.name == "g")
        proto.graph.initializer.append(numpy_helper.from_array(values, info.name))
    del proto.graph.value_info[:]
    y = np.arange(SAMPLES) % CLASSES
    x: np.ndarray = (5 * y[:, None] + rng.integers(0, 7, size=(SAMPLES, 6))) % 20
    if name == "cells":
        x = (rng.normal(size=(CLASSES, 6, 5))[y] + rng.normal(size=(SAMPLES, 6, 5)) / 2).astype(np.float32)
    proto.graph.output.append(onnx.helper.make_tensor_value_info("f", 1, None))
    features = create_engine().session(proto).run({"x": x})["f"]
    del proto.graph.output[1:]
    inputs = np.concatenate([features, np.ones((SAMPLES, 1))], axis=1)
    fitted = 6 * np.linalg.lstsq(inputs, 2.0 * np.eye(CLASSES)[y] - 1, rcond=None)[0].astype(np.float32)
    for tensor in proto.graph.initializer:
        if tensor.name in {"v", "c"}:
            values = fitted[:-1] if tensor.name == "v" else fitted[-1]
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return proto, x, y


def bench(name: str) -> Workbench:
    proto, x, y = network(name)
    model = load(proto.SerializeToString())
    return Workbench(
        model,
        find_logits(model),
        create_engine(),
        Probes({"x": x}, y, "made"),
        (1,),
        parse_composite("epsilon"),
        budget=5.0,
        batch_size=50,
        seed=0,
    )


@pytest.mark.parametrize("name", TEXTS)
def test_erase_reaches_behind_the_head(name: str) -> None:
    made = bench(name)
    assert [layer.name for layer in made.editable] == [made.head.name]
    outcome = erase(made, steps=80)
    layers = {"cells": ["LSTM_1 W", "LSTM_1 R", "LSTM_1 B"], "bag": ["Gather_0", "LayerNormalization_2"]}
    assert outcome.details["layers"] == layers[name]
    assert all(layer in made.depth(outcome.edits) for layer in layers[name])
    figures = made.trial(outcome.edits).figures
    assert figures.forget == 0
    assert figures.retain is not None
    assert figures.retain > 95

    def recovered(edits: Edits) -> float:
        found = relearn(made.record([made.head.input], edits=edits)[made.head.input], made.y, (1,), seed=0)
        assert found is not None
        return found.accuracy

    # It is not in the features any more as it was; over seeds 0 to 3 the cells give 87 to 91 % back, of 100.
    assert recovered(outcome.edits) < recovered(Edits(made.model)) - 8
    half = part_of(made, outcome.edits, 0.5)
    layer = next(la for la in made.trainable if la.name == layers[name][0])
    start, end = (edits.weight(layer) for edits in (Edits(made.model), outcome.edits))
    np.testing.assert_allclose(half.weight(layer), (start + end) / 2, atol=1e-5)


@pytest.mark.parametrize("name", TEXTS)
def test_the_file_is_the_trial(name: str) -> None:
    made = bench(name)
    outcome = erase(made, steps=3)
    written = onnx.load_model_from_string(bytes(patch(made.model, outcome.edits.arrays)))
    logits = create_engine().session(written).run(made.probes.feeds)["y"]
    np.testing.assert_allclose(logits, made.scores(outcome.edits), atol=1e-4)


@pytest.mark.parametrize("name", TEXTS)
def test_fisher_information_is_that_of_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    made = bench(name)
    samples = np.arange(12)
    found = fisher(made, samples)
    module = import_model(made.model.proto)
    squares: dict[str, np.ndarray] = {}
    for sample in samples:
        module.zero_grad()
        (logits,) = module.run({"x": torch.from_numpy(made.probes.feeds["x"][[sample]])}, ["y"]).values()
        torch.nn.functional.cross_entropy(logits, torch.tensor(made.y[[sample]])).backward()
        for layer in made.trainable:
            for tensor in (layer.weight, layer.bias):
                if tensor is not None:
                    grad = module.get_parameter(tensor.name).grad
                    assert grad is not None
                    seen = grad.numpy().reshape(-1)[tensor.positions]
                    squares[tensor.name] = squares.get(tensor.name, 0) + seen**2 / len(samples)
    for layer in made.trainable:
        expected = squares[layer.weight.name]
        np.testing.assert_allclose(found[layer].weight, expected, rtol=1e-3, atol=1e-4 * expected.max())
        if layer.bias is not None:
            expected = squares[layer.bias.name]
            np.testing.assert_allclose(found[layer].bias, expected, rtol=1e-3, atol=1e-4 * expected.max())
