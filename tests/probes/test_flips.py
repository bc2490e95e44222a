import itertools

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import Logits, Model, find_logits, load
from onnxunlearn.probes.flips import exchange, lookups
from onnxunlearn.probes.made import Maker
from onnxunlearn.probes.pull import Pull

WORDS, LENGTH, CLASSES = 7, 3, 3


def text_model() -> Model:
    """ids, mask, kind [N, 3] -> embeddings of ids and of kind, summed over unmasked places, dense."""
    rng = np.random.default_rng(0)
    stored = {
        "words": rng.normal(size=(WORDS, 4)),
        "kinds": rng.normal(size=(2, 4)),
        "w": rng.normal(size=(4, CLASSES)),
        "last": np.array([2]),
        "middle": np.array([1]),
    }
    nodes = [
        helper.make_node("Gather", ["words", "ids"], ["looked up"]),
        helper.make_node("Gather", ["kinds", "kind"], ["kinds looked up"]),
        helper.make_node("Add", ["looked up", "kinds looked up"], ["sum"]),
        helper.make_node("Cast", ["mask"], ["m"], to=T.FLOAT),
        helper.make_node("Unsqueeze", ["m", "last"], ["m3"]),
        helper.make_node("Mul", ["sum", "m3"], ["seen"]),
        helper.make_node("ReduceSum", ["seen", "middle"], ["f"], keepdims=0),
        helper.make_node("MatMul", ["f", "w"], ["y"], "head"),
    ]
    tensors = [
        numpy_helper.from_array(value.astype(np.float32 if value.dtype.kind == "f" else np.int64), name)
        for name, value in stored.items()
    ]
    inputs = [helper.make_tensor_value_info(n, T.INT64, ["N", LENGTH]) for n in ("ids", "mask", "kind")]
    output = helper.make_tensor_value_info("y", T.FLOAT, ["N", CLASSES])
    graph = helper.make_graph(nodes, "text", inputs, [output], tensors)
    proto = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    onnx.checker.check_model(proto)
    return load(proto.SerializeToString())


def scores(model: Model, logits: Logits, ids: np.ndarray) -> np.ndarray:
    session = create_engine().session(model.proto)
    ones, zeros = np.ones_like(ids), np.zeros_like(ids)
    return session.run({"ids": ids, "mask": ones, "kind": zeros})[logits.tensor]


def test_tokens_are_what_is_looked_up_in_the_largest_table() -> None:
    assert [(lookup.input, lookup.output, len(lookup.table)) for lookup in lookups(text_model())] == [
        ("ids", "looked up", WORDS),
        ("kind", "kinds looked up", 2),
    ]


def test_exchanges_lead_to_the_best_sequence_where_the_model_is_linear() -> None:
    model = text_model()
    logits = find_logits(model)
    start = {
        "ids": np.random.default_rng(1).integers(WORDS, size=(9, LENGTH)),
        "mask": np.ones((9, LENGTH), np.int64),
        "kind": np.zeros((9, LENGTH), np.int64),
    }
    y = np.arange(9) % CLASSES
    pull = Pull(model, logits, create_engine(), ["looked up"], np.eye(CLASSES)[y], 4)
    found = exchange(start, lookups(model)[0], pull, 12)
    everything = scores(model, logits, np.array(list(itertools.product(range(WORDS), repeat=LENGTH))))
    for c in range(CLASSES):
        if (everything.argmax(axis=1) == c).any():
            reached = scores(model, logits, found["ids"][y == c])
            assert (reached.argmax(axis=1) == c).all()
    assert found["mask"] is start["mask"]


def test_sequences_made_from_the_model() -> None:
    model = text_model()
    made = Maker(model, find_logits(model), create_engine(), 32, 0).from_noise((1,))
    assert {name: value.dtype for name, value in made.feeds.items()} == dict.fromkeys(made.feeds, np.int64)
    assert (made.feeds["mask"] == 1).all()
    assert set(np.unique(made.feeds["kind"])) <= {0, 1}
    assert set(np.unique(made.feeds["ids"])) <= set(range(WORDS))
