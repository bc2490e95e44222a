"""Which channels are pruned, computed again from nothing but `explain`."""

import numpy as np
import pytest

from onnxunlearn import explain
from onnxunlearn.edits import Edits
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.methods import run_method
from onnxunlearn.methods.pxp import steps

from ..graph.models import tensor
from ..sample_paths import CNN
from .benches import bench
from .tiny import tiny_bench, tokens_first


def test_the_channels_most_relevant_to_the_class_and_not_to_others_go() -> None:
    made = bench(CNN)
    layers = [layer for layer in made.layers if layer.name != made.head.name]
    outputs = [layer.output for layer in layers]
    found = explain(CNN, made.probes, "label", composite="lra_npp", tensors=outputs)
    scores = []
    for layer in layers:
        sums = np.abs(found[layer.output]).reshape(len(made.y), layer.neurons, -1).sum(axis=2)
        mine, others = sums[made.y == 3].sum(axis=0), sums[made.y != 3].sum(axis=0)
        scores += [(s, layer.name, i) for i, s in enumerate(mine / mine.sum() - others / others.sum())]
    scores.sort(key=lambda entry: -entry[0])
    wanted: dict[str, list[int]] = {}
    for _, name, channel in scores[:11]:
        wanted.setdefault(name, []).append(channel)
    outcome = run_method("pxp", made, {"share": 10})
    assert (outcome.details["channels"], outcome.details["of"]) == (11, 112)
    assert outcome.details["pruned"] == {name: sorted(channels) for name, channels in wanted.items()}
    original = Edits(made.model)
    for layer in layers:
        pruned = np.isin(np.arange(layer.neurons), wanted.get(layer.name, []))
        weight, bias = outcome.edits.weight(layer), outcome.edits.bias(layer)
        assert bias is not None
        assert not weight[pruned].any()
        assert not bias[pruned].any()
        np.testing.assert_array_equal(weight[~pruned], original.weight(layer)[~pruned])
    np.testing.assert_array_equal(outcome.edits.weight(made.head), original.weight(made.head))


@pytest.mark.parametrize("method", ["pxp", "neuron-mask"])
def test_a_network_that_is_all_head_has_no_channels(method: str) -> None:
    proto = tokens_first()
    del proto.graph.node[1:4]
    proto.graph.node[1].input[0] = "t"
    proto.graph.initializer[2].CopyFrom(tensor("w2", np.ones((3, 4), np.float32)))
    with pytest.raises(UnsupportedError, match="no layer before node 'head', op Gemm, opset 17 has neurons"):
        run_method(method, tiny_bench(proto), {})


@pytest.mark.parametrize("most", [0, 1, 2, 7, 1000])
def test_steps_grow_and_stay_in_bounds(most: int) -> None:
    counts = steps(most)
    assert counts == sorted(set(counts))
    assert all(1 <= count <= most for count in counts)
    assert len(counts) < 30
    assert bool(counts) is bool(most)
