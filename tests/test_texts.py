"""Models that read texts: columns of categories, as pipelines of scikit-learn have them beside numbers."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import onnxunlearn
from onnxunlearn.engines import create_engine
from onnxunlearn.errors import InputError
from onnxunlearn.graph import load
from onnxunlearn.judge import diff
from onnxunlearn.judge.attacks.inversion import inversion
from onnxunlearn.probes import Probes
from tests.judge.made_evidence import evidence_of
from tests.small_network import ML, array, node

COLOURS = ["red", "green", "blue"]
_RNG = np.random.default_rng(0)
#: [90, 1] each; what is said hangs on the colour, and on the sign of the number
DATA = {
    "size": _RNG.normal(size=(90, 1)).astype(np.float32),
    "colour": np.array(COLOURS)[_RNG.integers(3, size=(90, 1))],
}


def pipeline() -> onnx.ModelProto:
    """Colours as one-hot columns beside a number, then a linear classifier of three classes: one a colour."""
    weights = np.concatenate([np.eye(3) * 6, [[0.5], [0], [-0.5]]], axis=1).astype(np.float32)
    nodes = [
        node("OneHotEncoder", ["colour"], ["each"], domain=ML, cats_strings=COLOURS, zeros=1),
        node("Reshape", ["each", "flat"], ["columns"]),
        node("Concat", ["columns", "size"], ["f"], axis=1),
        node(
            "LinearClassifier",
            ["f"],
            ["label", "p"],
            domain=ML,
            coefficients=weights.reshape(-1).tolist(),
            intercepts=[0.0, 0.1, 0.2],
            classlabels_strings=["ripe", "unripe", "rotten"],
            post_transform="SOFTMAX",
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "pipeline",
        [
            helper.make_tensor_value_info("size", TensorProto.FLOAT, ["N", 1]),
            helper.make_tensor_value_info("colour", TensorProto.STRING, ["N", 1]),
        ],
        [
            helper.make_tensor_value_info("label", TensorProto.STRING, ["N"]),
            helper.make_tensor_value_info("p", TensorProto.FLOAT, ["N", 3]),
        ],
        [array("flat", [-1, 3], np.int64)],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(ML, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def test_a_class_is_forgotten_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(pipeline().SerializeToString())
    np.savez(tmp_path / "data.npz", size=DATA["size"], colour=DATA["colour"])
    result = onnxunlearn.unlearn(
        tmp_path / "model.onnx", forget="unripe", data=tmp_path / "data.npz", method="mask"
    )
    result.save(tmp_path / "edited.onnx")
    assert not diff(tmp_path / "model.onnx", tmp_path / "edited.onnx").others
    session = create_engine("onnxruntime").session(onnx.load(tmp_path / "edited.onnx"))
    said = session.run(DATA, ["label"])["label"]
    green = DATA["colour"][:, 0] == "green"
    assert not (said == "unripe").any()
    assert (said[~green] == np.where(DATA["colour"][~green, 0] == "red", "ripe", "rotten")).all()


def test_relevance_reaches_the_numbers_beside_them() -> None:
    relevance = onnxunlearn.explain(pipeline().SerializeToString(), DATA, 0, composite="gradient")
    assert sorted(relevance) == ["size"]
    np.testing.assert_allclose(relevance["size"], _gradient_times_logit(), rtol=1e-4)


def _gradient_times_logit() -> np.ndarray:
    """Relevance starts with what the logit is, and the weight of `size` for the first class is 0.5."""
    return 0.5 * (6.0 * (DATA["colour"] == "red") + 0.5 * DATA["size"])


def test_what_stays_on_the_device_takes_them() -> None:
    engine = create_engine("onnxruntime")
    session = engine.session(pipeline())
    held = {name: engine.tensor(value) for name, value in DATA.items()}
    np.testing.assert_array_equal(session.compute(held, ["p"])["p"].numpy(), session.run(DATA, ["p"])["p"])


def test_an_audit_drives_the_numbers_and_leaves_the_texts() -> None:
    model, y = (
        load(pipeline().SerializeToString()),
        np.array([COLOURS.index(c) for c in DATA["colour"][:, 0]]),
    )
    models = {"original": model, "edited": model}
    rows = list(inversion(evidence_of(models, Probes(DATA, y, "fruit"), (1,), thorough=True)))
    assert rows
    assert all(row.values["edited"].value == 0 for row in rows), "no colour turns"


def test_texts_are_not_made() -> None:
    with pytest.raises(InputError, match="input 'colour' takes texts, which are not made from the model"):
        onnxunlearn.unlearn(pipeline().SerializeToString(), forget="ripe")
