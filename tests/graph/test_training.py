"""What was exported in training mode is named, and not judged."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import onnxunlearn
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import FileBytes, check_inference, find_logits, in_training
from onnxunlearn.lowering import lower
from onnxunlearn.pictures import draw
from tests.small_network import X, array, columns, loaded, network, node

DATA = {"x": X, "y": columns()}
ONES, ZEROS = array("s", np.ones(6, np.float32)), array("q", np.zeros(6, np.float32))


def batch_norm(outputs: int = 1, opset: int = 17, **attributes: Any) -> onnx.ModelProto:
    names = ["o", "mean", "variance", "saved mean", "saved variance"][:outputs]
    norm = node("BatchNormalization", ["logits", "s", "q", "q", "s"], names, name="norm", **attributes)
    return network([norm], [ONES, ZEROS], [("o", 6)], opset=opset)


def dropout(training: bool | None, ratio: float = 0.5, opset: int = 17) -> onnx.ModelProto:
    drop = node("Dropout", ["z", "ratio", "training"][: 2 + (training is not None)], ["dropped"], name="drop")
    model = network(opset=opset)
    model.graph.node[2].input[0] = "dropped"
    model.graph.node.insert(2, drop)
    model.graph.initializer.append(array("ratio", ratio, np.float32))
    if training is not None:
        model.graph.initializer.append(array("training", training))
    return model


def old_dropout(opset: int, **attributes: Any) -> onnx.ModelProto:
    return network(
        [node("Dropout", ["logits"], ["o"], name="drop", **attributes)], [], [("o", 6)], opset=opset
    )


def noisy(op: str, **attributes: Any) -> onnx.ModelProto:
    random = node(op, ["logits"] if "Like" in op else [], ["noise"], name="noise", **attributes)
    return network([random, node("Add", ["logits", "noise"], ["o"])], [], [("o", 6)])


def in_a_function() -> onnx.ModelProto:
    """The training flag is passed to it."""
    model = dropout(True)
    drop = model.graph.node[2]
    opsets = [helper.make_opsetid("", 17)]
    body = [node("Dropout", ["a", "b", "c"], ["d"], name="inner")]
    model.functions.append(helper.make_function("local", "Drop", ["a", "b", "c"], ["d"], body, opsets))
    model.opset_import.append(helper.make_opsetid("local", 1))
    drop.op_type, drop.domain = "Drop", "local"
    return model


def in_a_body() -> onnx.ModelProto:
    """Of an If whose condition is computed, with the flag beside it."""
    info = [helper.make_tensor_value_info("b", TensorProto.FLOAT, ["N", 6])]
    flag = node("Constant", [], ["on"], value=array("", True))
    ratio = node("Constant", [], ["half"], value=array("", 0.5, np.float32))
    one = helper.make_graph([flag, ratio, node("Dropout", ["logits", "half", "on"], ["b"])], "one", [], info)
    other = helper.make_graph([node("Identity", ["logits"], ["b"])], "other", [], info)
    tail = [
        node("ReduceMax", ["logits"], ["most"], keepdims=0),
        node("Cast", ["most"], ["c"], to=TensorProto.BOOL),
        node("If", ["c"], ["o"], name="either", then_branch=one, else_branch=other),
    ]
    return network(tail, [], [("o", 6)])


TRAINING: dict[str, tuple[Callable[[], onnx.ModelProto], str]] = {
    "BatchNormalization 15": (lambda: batch_norm(3, training_mode=1), "op BatchNormalization, opset 17"),
    "BatchNormalization 9": (lambda: batch_norm(5, opset=9), "op BatchNormalization, opset 9"),
    "BatchNormalization 7": (lambda: batch_norm(5, opset=7), "op BatchNormalization, opset 7"),
    "BatchNormalization 6": (lambda: batch_norm(opset=6), "op BatchNormalization, opset 6"),
    "Dropout": (lambda: dropout(True), "node 'drop', op Dropout, opset 17"),
    "Dropout 12": (lambda: dropout(True, opset=12), "op Dropout, opset 12"),
    "Dropout 6": (lambda: old_dropout(6), "op Dropout, opset 6"),
    "Dropout in a function": (in_a_function, "op Dropout, opset 17"),
    "Dropout in a body": (in_a_body, "node 'either', op If, opset 17"),
    "RandomNormal": (lambda: noisy("RandomNormal", shape=[6]), "node 'noise', op RandomNormal, opset 17"),
    "with a seed": (lambda: noisy("RandomUniform", shape=[6], seed=1.0), "op RandomUniform, opset 17"),
    "RandomNormalLike": (lambda: noisy("RandomNormalLike"), "op RandomNormalLike, opset 17"),
}
INFERENCE: dict[str, Callable[[], onnx.ModelProto]] = {
    "a plain network": network,
    "BatchNormalization 17": batch_norm,
    "BatchNormalization 9": lambda: batch_norm(opset=9),
    "BatchNormalization 6": lambda: batch_norm(opset=6, is_test=1),
    "Dropout without the flag": lambda: dropout(None),
    "Dropout with the flag off": lambda: dropout(False),
    "Dropout of nothing": lambda: dropout(True, ratio=0),
    "Dropout 7": lambda: old_dropout(7),
    "Dropout 10": lambda: old_dropout(10, ratio=0.9),
    "Dropout 6": lambda: old_dropout(6, is_test=1),
}


@pytest.mark.parametrize("name", TRAINING)
def test_the_node_and_the_remedy_are_named(name: str) -> None:
    make, named = TRAINING[name]
    model = loaded(make())
    logits = find_logits(model)
    (line,) = in_training(lower(model), logits)
    assert named in line
    assert line.endswith("; export the model in eval mode")
    assert "\n" not in line
    with pytest.raises(UnsupportedError) as caught:
        check_inference(lower(model), logits)
    assert str(caught.value) == line


@pytest.mark.parametrize("name", INFERENCE)
def test_inference_is_left_alone(name: str) -> None:
    model = loaded(INFERENCE[name]())
    assert in_training(lower(model), find_logits(model)) == []


def test_functions_that_are_left_alone_are_looked_into() -> None:
    proto = network([node("Noisy", ["logits"], ["o"], domain="local", name="n")], [], [("o", 6)])
    proto.opset_import.append(helper.make_opsetid("local", 1))
    body = [node("RandomNormalLike", ["a"], ["b"]), node("Add", ["a", "b"], ["c"])]
    opsets = [helper.make_opsetid("", 17)]
    proto.functions.append(helper.make_function("local", "Noisy", ["a"], ["c"], body, opsets))
    model = loaded(proto)
    (line,) = in_training(model, find_logits(model))  # not lowered
    assert line.startswith("node 'n', op local::Noisy, opset 1 draws at random")


def test_statistics_of_a_weight_are_no_training() -> None:
    """BiT standardises its weights so, at run time."""
    names = ["w", "m1", "v1", "m2", "v2"]
    norm = node("BatchNormalization", ["raw", "s", "q", "q", "s"], names)
    model = network(opset=13)
    model.graph.node.insert(0, norm)
    model.graph.node[3].input[1] = "w"
    weight = next(t for t in model.graph.initializer if t.name == "W2")
    weight.name = "raw"
    model.graph.initializer.extend(
        [array("s", np.ones(32, np.float32)), array("q", np.zeros(32, np.float32))]
    )
    read = onnxunlearn.graph.Model(FileBytes(model.SerializeToString()), model)
    assert in_training(read, find_logits(read)) == []


def test_what_only_gives_its_shape_is_no_chance() -> None:
    tail = [
        node("RandomNormal", [], ["noise"], shape=[6]),
        node("Shape", ["noise"], ["size"]),
        node("Expand", ["logits", "size"], ["o"]),
    ]
    model = loaded(network(tail, [], [("o", 6)]))
    assert in_training(model, find_logits(model)) == []


def test_chance_beside_the_scores_does_not_matter() -> None:
    tail = [node("RandomNormalLike", ["z"], ["other"])]
    model = loaded(network(tail, [], [("logits", 6), ("other", 32)]))
    assert in_training(model, find_logits(model, "logits")) == []


@pytest.mark.parametrize("name", [n for n in TRAINING if not n.endswith(" 6")])
def test_that_they_do_what_is_said_of_them(name: str) -> None:
    """In ONNX Runtime without its optimiser, which takes a Dropout out whatever its mode."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(TRAINING[name][0]().SerializeToString(), options)
    whole, again, alone = (session.run(None, {"x": x})[0] for x in (X, X, X[:1]))
    assert max(np.abs(whole - again).max(), np.abs(whole[:1] - alone).max()) > 0.1


@pytest.mark.parametrize("name", ["BatchNormalization 15", "Dropout", "RandomNormal"])
def test_nothing_is_judged(name: str, tmp_path: Any) -> None:
    model, plain = loaded(TRAINING[name][0]()), loaded(network())
    attempts: list[Callable[[], object]] = [
        lambda: onnxunlearn.unlearn(model, 3, DATA),
        lambda: onnxunlearn.examine(model, model, 3, DATA),
        lambda: onnxunlearn.examine(plain, model, 3, DATA),
        lambda: onnxunlearn.explain(model, DATA, 3),
        lambda: draw(model, DATA, tmp_path / "pictures", 3),
    ]
    for attempt in attempts:
        with pytest.raises(UnsupportedError, match="export the model in eval mode"):
            attempt()


@pytest.mark.parametrize("name", TRAINING)
def test_inspect_warns(name: str) -> None:
    make, named = TRAINING[name]
    (warning,) = onnxunlearn.inspect(loaded(make())).warnings
    assert named in warning
