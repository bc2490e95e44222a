"""Samples that go in parts, of which not all that was recorded is kept, give what they give at once."""

from dataclasses import replace

import numpy as np
import onnx
import pytest

from onnxunlearn.engines.batching import Feeds
from onnxunlearn.engines.numpy import NumpyEngine
from onnxunlearn.engines.tensor import array_of
from onnxunlearn.graph import find_layers, load
from onnxunlearn.graph.flow import shape_arithmetic
from onnxunlearn.graph.tail import WEIGHT, tail_of
from onnxunlearn.reverse import passes as passes_module
from onnxunlearn.reverse.differentiate import Differentiator, Weights
from onnxunlearn.reverse.passes import Passes

from ..sample_paths import MLP


def _last_layers(count: int) -> tuple[Passes, Weights, Feeds, Feeds]:
    """Of a network's last layers: passes, the weights as they are, what enters for some samples, a signal."""
    model = load(MLP)
    layers = find_layers(model)[1:]
    target = model.graph.output[0].name
    tail = tail_of(model, layers, [target], shape_arithmetic(model))
    (entering,) = tail.boundary
    width = layers[0].weight.shape[1]
    rng = np.random.default_rng(0)
    feeds = {entering: rng.normal(size=(count, width)).astype(np.float32)}
    signal = {target: rng.normal(size=(count, 10)).astype(np.float32)}
    weights = {
        la.name: (
            la.weight.view(model.array(la.weight.name)),
            None if la.bias is None else model.array(la.bias.name),
        )
        for la in layers
    }
    return Passes(Differentiator(tail, [target], NumpyEngine()), None), weights, feeds, signal


@pytest.mark.parametrize(("count", "sizes"), [(24, [8] * 3), (23, [10, 10, 3]), (10, [10]), (9, [9])])
@pytest.mark.parametrize("kept", [0, 1 << 12, 1 << 30])
def test_parts(count: int, sizes: list[int], kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    passes, weights, feeds, signal = _last_layers(count)
    (target,), ((entering, _),) = signal, feeds.items()
    whole = passes.forward(feeds, weights)
    wanted = passes.backward(whole, signal)

    monkeypatch.setattr(passes_module, "_BYTES", 10 * feeds[entering][:1].nbytes)
    monkeypatch.setattr(passes_module, "_KEPT", kept)
    forward = passes.forward(feeds, weights)
    assert [part.count for part in forward.parts] == sizes
    whose = [bool(part.recorded.kept) for part in forward.parts]
    assert whose == sorted(whose, reverse=True)  # as long as there is room
    assert kept not in (0, 1 << 30) or set(whose) == {kept > 0}
    np.testing.assert_allclose(forward.values[target], whole.values[target], rtol=1e-5, atol=1e-5)
    found = passes.backward(forward, signal)
    for name, (weight, bias) in wanted.items():
        np.testing.assert_allclose(found[name][0], weight, rtol=1e-4, atol=1e-5)
        own = found[name][1]
        assert bias is not None
        assert own is not None
        np.testing.assert_allclose(own, bias, rtol=1e-4, atol=1e-5)


def test_parts_share_weights_that_are_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    passes, weights, feeds, signal = _last_layers(24)
    across = {n: (np.asfortranarray(weight), bias) for n, (weight, bias) in weights.items()}
    monkeypatch.setattr(passes_module, "_BYTES", 1 << 12)
    forward = passes.forward(feeds, across)
    kept = [part.recorded.kept for part in forward.parts]
    assert len(kept) > 2
    for name in (n for n in kept[0] if n.startswith(WEIGHT)):
        first, *others = (array_of(one[name]) for one in kept if name in one)
        assert first.flags.c_contiguous
        assert others
        assert all(np.shares_memory(first, other) for other in others)
    wanted = passes.backward(passes.forward(feeds, weights), signal)
    for name, (weight, _) in passes.backward(forward, signal).items():
        np.testing.assert_array_equal(weight, wanted[name][0])


#: what lies between a layer and its input, of two samples, and whether these are kept apart
BETWEEN = {
    "nothing to count": ("h = Relu (x)", True),
    "a shape with their number": ("r = Relu (x) h = Reshape (r, two)", True),
    "a mean of them": ("m = ReduceMean <axes = [0], keepdims = 1> (x) h = Sub (x, m)", False),
    "a number for each place in a batch": ("h = Add (x, each)", False),
    "a shape that is none of their number": (
        "r = Reshape (x, flat) t = Relu (r) h = Reshape (t, two)",
        False,
    ),
}


@pytest.mark.parametrize("name", BETWEEN)
def test_a_batch_size_is_opened_where_samples_are_kept_apart(name: str) -> None:
    nodes, apart = BETWEEN[name]
    proto = onnx.parser.parse_model(f"""<ir_version: 8, opset_import: ["" : 13]>
        g (float[2, 4] x) => (float[2, 3] y) <int64[2] two = {{2, 4}}, int64[1] flat = {{8}}>
        {{ {nodes} y = MatMul (h, w) }}""")
    rng = np.random.default_rng(0)
    for own, shape in (("w", (4, 3)), ("each", (2, 4))):
        values = rng.normal(size=shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(values, own))
    model = load(proto.SerializeToString())
    (layer,) = find_layers(model)
    tail = replace(
        tail_of(model, [layer], ["y"], shape_arithmetic(model)), nodes=model.nodes, boundary=("x",)
    )
    passes = Passes(Differentiator(tail, ["y"], NumpyEngine()), model.batch_size)
    weights: Weights = {layer.name: (layer.weight.view(model.array("w")), None)}
    samples = {"x": rng.normal(size=(6, 4)).astype(np.float32)}
    freed = passes.freed(samples, weights)
    assert (freed is not passes) == apart
    wanted, signal = passes.forward(samples, weights), {"y": rng.normal(size=(6, 3)).astype(np.float32)}
    found = freed.forward(samples, weights)
    assert len(found.parts) == (1 if apart else 3)
    np.testing.assert_allclose(found.values["y"], wanted.values["y"], atol=1e-5)
    gradients = [p.backward(f, signal)[layer.name][0] for p, f in ((freed, found), (passes, wanted))]
    np.testing.assert_allclose(gradients[0], gradients[1], atol=1e-4)


@pytest.mark.parametrize(("baked", "count"), [(8, 8), (1, 1)])
def test_samples_that_are_one_batch_do_not_tell_that_they_are_kept_apart(baked: int, count: int) -> None:
    """Together they give what they give with the size that is built in, whatever mixes them."""
    proto = onnx.parser.parse_model(f"""<ir_version: 8, opset_import: ["" : 13]>
        g (float[{baked}, 4] x) => (float[{baked}, 3] y)
        {{ m = ReduceMean <axes = [0], keepdims = 1> (x) h = Sub (x, m) y = MatMul (h, w) }}""")
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4, 3)).astype(np.float32)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(values, "w"))
    model = load(proto.SerializeToString())
    (layer,) = find_layers(model)
    tail = replace(
        tail_of(model, [layer], ["y"], shape_arithmetic(model)), nodes=model.nodes, boundary=("x",)
    )
    passes = Passes(Differentiator(tail, ["y"], NumpyEngine()), model.batch_size)
    samples = {"x": rng.normal(size=(count, 4)).astype(np.float32)}
    assert passes.freed(samples, {layer.name: (layer.weight.view(model.array("w")), None)}) is passes
