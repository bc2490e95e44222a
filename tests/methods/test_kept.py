"""Other outputs of the same trunk: found, pinned, and reason enough to go less deep."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression

from onnxunlearn.edits import Edits
from onnxunlearn.graph import Logits, find_logits, load
from onnxunlearn.methods import Workbench
from onnxunlearn.methods.auto import auto
from onnxunlearn.methods.erase.erase import erase
from onnxunlearn.methods.erase.scope import scope, sparing
from onnxunlearn.methods.kept import JOINED, Kept, drift, joined, kept_tensors, turned
from onnxunlearn.probes import Probes

from ..sample_paths import MLP, images
from .benches import bench

FEATURES = "/4/Relu_output_0"


def with_another_head(*, index: bool = False, embedding: bool = False) -> Workbench:
    """The MLP with a second head on its features, or on what comes before, that tells whether a digit has a
    loop (0, 4, 6, 8, 9)."""
    made = bench(MLP)
    x, y = images("mnist_test")
    loops = np.isin(y, [0, 4, 6, 8, 9])
    wide = replace(made, probes=Probes({"x": x}, y, "mnist"))
    head = LogisticRegression(max_iter=1000).fit(wide.record([FEATURES])[FEATURES], loops)
    rows = np.concatenate([-head.coef_, head.coef_]).astype(np.float32)
    proto = onnx.load(MLP)
    graph = proto.graph
    graph.initializer.append(numpy_helper.from_array(rows, "V"))
    bias = np.concatenate([-head.intercept_, head.intercept_]).astype(np.float32)
    graph.initializer.append(numpy_helper.from_array(bias, "c"))
    graph.node.append(helper.make_node("Gemm", [FEATURES, "V", "c"], ["loops"], transB=1))
    if index:
        graph.node.append(helper.make_node("ArgMax", ["loops"], ["loop"], axis=1, keepdims=0))
        graph.output.append(helper.make_tensor_value_info("loop", TensorProto.INT64, ["batch"]))
    elif embedding:
        graph.output.append(helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["batch", 64]))
    else:
        graph.output.append(helper.make_tensor_value_info("loops", TensorProto.FLOAT, ["batch", 2]))
    model = load(proto.SerializeToString())
    return replace(made, model=model, logits=find_logits(model, "logits"))


def shares(made: Workbench, edits: Edits, tensor: str) -> tuple[float, float]:
    """How many unseen images get the same answer at the other head, in percent: retained, forgotten."""
    x, y = images("mnist_test")
    wide = replace(made, probes=Probes({"x": x}, y, "mnist"))
    before, after = (wide.record([tensor], None, e)[tensor].argmax(axis=1) for e in (None, edits))
    same = before == after
    return 100 * float(same[y != 3].mean()), 100 * float(same[y == 3].mean())


def test_what_is_to_be_kept_is_found() -> None:
    for options, wanted in (
        ({}, Kept("loops", False, 2)),
        ({"index": True}, Kept("loops", False, 2)),  # an index says nothing of which way to go
        ({"embedding": True}, Kept(FEATURES, True, 64)),
    ):
        made = with_another_head(**options)
        assert kept_tensors(made, scope(made, 2)) == [wanted]
        assert kept_tensors(made, [made.head]) == []  # what is not reached
    plain = bench(MLP)
    assert kept_tensors(plain, scope(plain, 2)) == []


def test_sizes_read_off_the_input_do_not_stand_in_the_way() -> None:
    made = with_another_head()
    proto, first = onnx.ModelProto(), made.model.nodes[2].outputs[0]
    proto.CopyFrom(made.model.proto)
    graph = proto.graph
    at = next(i for i, node in enumerate(graph.node) if first in node.output)
    graph.node[at].output[list(graph.node[at].output).index(first)] = "straight"
    graph.node.insert(at + 1, helper.make_node("Shape", ["straight"], ["size"]))
    graph.node.insert(at + 2, helper.make_node("Reshape", ["straight", "size"], [first]))
    graph.output.append(helper.make_tensor_value_info("size", TensorProto.INT64, [2]))
    model = load(proto.SerializeToString())
    sized = replace(made, model=model, logits=find_logits(model, "logits"))
    assert kept_tensors(sized, sized.trainable) == [Kept("loops", False, 2)]


def test_joined_holds_the_logits_then_the_others() -> None:
    made = with_another_head()
    model = joined(made.model, made.logits, ["loops"])
    whole = replace(made, model=model).record([JOINED])[JOINED]
    parts = made.record(["logits", "loops"])
    np.testing.assert_allclose(whole, np.concatenate([parts["logits"], parts["loops"]], axis=1), atol=1e-5)


def test_drift_is_in_units_of_the_deviation() -> None:
    values = np.random.default_rng(0).normal(5, 2, (2000, 3))
    assert drift(values, values + 1) == pytest.approx(0.5, rel=0.05)
    assert drift(values, values) == 0
    assert turned(np.array([[0, 1], [1, 0]]), np.array([[0, 1], [0, 1]])) == 50


@pytest.mark.parametrize("index", [False, True], ids=["scores", "index"])
def test_erase_pins_the_other_head_for_all_samples(index: bool) -> None:
    made = with_another_head(index=index)
    blind = bench(MLP)
    loose, pinned = erase(blind).edits, erase(made).edits
    unpinned = Edits(made.model)
    for layer in scope(made, 2):
        unpinned.set_weight(layer, loose.weight(layer))
        bias = loose.bias(layer)
        assert bias is not None
        unpinned.set_bias(layer, bias)
    _, broken = shares(made, unpinned, "loops")
    others, of_the_class = shares(made, pinned, "loops")
    assert broken < 60  # threes have no loop; unpinned they get one
    assert others > 98.5
    assert of_the_class > 93


def test_auto_goes_only_as_far_as_the_other_output_bears() -> None:
    made = with_another_head()
    found = auto(replace(made, budget=5.0))
    assert min(shares(made, found.edits, "loops")) > 95
    assert not found.details["why"] or "'loops'" in found.details["why"]


def test_layers_of_an_output_that_cannot_be_kept_stay() -> None:
    """An output that adds up over the samples is nobody's in particular."""
    made = with_another_head()
    proto = onnx.ModelProto()
    proto.CopyFrom(made.model.proto)
    proto.graph.node.append(helper.make_node("ReduceSum", ["/2/Relu_output_0"], ["total"], keepdims=0))
    proto.graph.output.append(helper.make_tensor_value_info("total", TensorProto.FLOAT, []))
    model = load(proto.SerializeToString())
    logits: Logits = find_logits(model, "logits")
    summed = replace(made, model=model, logits=logits)
    first, second = scope(summed, 2)
    left, kept = sparing(summed, [first, second])
    assert [la.name for la in left] == [second.name]
    assert [k.tensor for k in kept] == ["loops"]
    found = erase(summed, steps=3)
    assert found.details["spared"] == [first.name]
    start = Edits(model)
    np.testing.assert_array_equal(start.weight(first), found.edits.weight(first))
