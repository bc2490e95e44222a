from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import Edited, find_layers, find_logits, load
from onnxunlearn.judge import Subject
from onnxunlearn.judge.running import Said, run_with_features
from onnxunlearn.probes import Probes

from ..sample_paths import MLP, SAMPLES, probes


def test_the_same_samples_are_run_once_also_when_they_get_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[Any] = []

    def counted(*args: Any) -> Said:
        runs.append(args)
        return run_with_features(*args)

    monkeypatch.setattr("onnxunlearn.judge.subject.run_with_features", counted)
    model = load(MLP)
    subject = Subject(model, find_logits(model), create_engine(), 32)
    samples = Probes({"x": probes(4)["x"]}, None, "four")
    before = subject.scores(samples)
    assert subject.scores(replace(samples, y=subject.predicted(samples))) is before
    assert len(runs) == 1
    fewer = samples.select([0, 2])
    np.testing.assert_array_equal(subject.scores(fewer), before[[0, 2]])
    assert len(runs) == 2
    assert subject.features(samples) is not None  # they came with the scores
    assert len(runs) == 2


def test_of_parts_is_known_what_is_known_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(MLP)
    subject = Subject(model, find_logits(model), create_engine(), 32)
    samples = Probes({"x": probes(4)["x"]}, np.arange(4), "four")
    scores, features = subject.scores(samples), subject.features(samples)
    assert features is not None
    monkeypatch.delattr("onnxunlearn.judge.subject.run_with_features")
    first, second = subject.divide(samples, [np.array([3, 0]), np.array([2])])
    assert first.y is not None
    assert first.y.tolist() == [3, 0]
    np.testing.assert_array_equal(subject.scores(first), scores[[3, 0]])
    np.testing.assert_array_equal(subject.features(second), features[[2]])
    with pytest.raises(NameError):  # of all together it is no longer
        subject.scores(samples)


def test_features_of_a_model_with_another_head_are_those_of_its_body() -> None:
    model = load(MLP)
    body = Subject(model, find_logits(model), create_engine(), 32)
    samples = Probes({"x": probes(4)["x"]}, None, "four")
    assert replace(body, body=body).features(samples) is body.features(samples)


@pytest.mark.parametrize("name", ["mnist_mlp", "mnist_cnn", "mnist_resnet"])
def test_another_head_alone_is_run_where_it_is_known_what_enters_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(SAMPLES / f"{name}.onnx")
    logits, engine = find_logits(model), create_engine()
    head = find_layers(model)[-1]
    bias = -model.array(head.bias.name) if head.bias is not None else None
    assert head.bias is not None
    assert bias is not None
    edited = Edited.of(model, {head.bias.name: bias}).model()
    body = Subject(model, logits, engine, 32)
    samples = Probes({model.inputs[0].name: probes(40)["x"]}, None, "forty")
    whole = Subject(edited, logits, engine, 32).scores(samples)
    body.scores(samples)
    monkeypatch.delattr("onnxunlearn.judge.subject.run")
    found = Subject(edited, logits, engine, 32, body=body).scores(samples)
    np.testing.assert_allclose(found, whole, rtol=1e-5, atol=1e-5)
    assert not np.allclose(found, body.scores(samples))


def test_a_head_is_run_with_all_before_it_where_that_is_not_known() -> None:
    model = load(MLP)
    body = Subject(model, find_logits(model), create_engine(), 32)
    samples = Probes({"x": probes(4)["x"]}, None, "four")
    other = replace(body, body=body)
    np.testing.assert_array_equal(other.scores(samples), body.scores(samples))
    assert other.knows(samples)


def test_a_mask_is_asked_by_its_head_where_the_file_says_no_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader of lines, whose heads ask of [samples, 1, numbers], was run whole three times."""
    proto = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 13]>
        g (float[n, 784] x) => (float[n, 10] y)
        <int64[3] one = {0, 1, 5}, int64[1] at = {1}>
        { h = MatMul (x, a) r = Relu (h) f = Reshape (r, one) z = MatMul (f, w) y = Squeeze (z, at) }""")
    rng = np.random.default_rng(0)
    for name, shape in (("a", (784, 5)), ("w", (5, 10))):
        values = rng.normal(size=shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    model = load(proto.SerializeToString())
    monkeypatch.setattr(type(model), "shapes", {})  # as where sizes are left open
    body = Subject(model, find_logits(load(proto.SerializeToString())), create_engine(), 32)
    mask = replace(body, body=body)
    samples = Probes({"x": rng.normal(size=(5, 784)).astype(np.float32)}, None, "five")
    scores = body.scores(samples)
    monkeypatch.delattr("onnxunlearn.judge.subject.run_with_features")
    monkeypatch.delattr("onnxunlearn.judge.subject.run")
    np.testing.assert_allclose(mask.scores(samples), scores, rtol=1e-5)
