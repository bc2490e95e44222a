"""Sigmoid heads: a sample may have several classes, or none, and each output decides for itself."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, parser

from onnxunlearn import examine, unlearn
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Model, load
from onnxunlearn.probes import load_probes
from onnxunlearn.tasks import measure_labels

from .odd_models import node
from .sample_paths import MLP

pytest.importorskip("onnxruntime")
CLASSES = 5


def data(count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """The pattern of every class that a sample has, and noise: x [N, 30], labels [N, 5]."""
    rng = np.random.default_rng(0)
    labels = rng.random((count, CLASSES)) < 0.3
    patterns = rng.normal(size=(CLASSES, 30))
    return (labels @ patterns + 0.3 * rng.normal(size=(count, 30))).astype(np.float32), labels


def tagger(normaliser: str = "Sigmoid") -> Model:
    """Random ReLU features and a head fitted to the labels."""
    x, labels = data()
    rng = np.random.default_rng(1)
    w, b = rng.normal(0, 0.3, (30, 64)).astype(np.float32), rng.normal(0, 0.3, 64).astype(np.float32)
    f = np.c_[np.maximum(x @ w + b, 0), np.ones(len(x))]
    head = np.linalg.solve(f.T @ f + 0.1 * np.eye(65), f.T @ (8.0 * labels - 4)).astype(np.float32)
    stored = {"w": w, "b": b, "head": head[:-1], "bias": head[-1]}
    nodes = [
        node("Gemm", ["x", "w", "b"], ["h"], name="hidden"),
        node("Relu", ["h"], ["f"]),
        node("Gemm", ["f", "head", "bias"], ["z"], name="head"),
        node(normaliser, ["z"], ["y"]),
    ]
    infos = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", size])
        for name, size in (("x", 30), ("y", CLASSES))
    ]
    tensors = [numpy_helper.from_array(array, name) for name, array in stored.items()]
    graph = helper.make_graph(nodes, "tagger", infos[:1], infos[1:], tensors)
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    return load(model.SerializeToString())


@pytest.mark.parametrize("method", ["lra-npp", "mask"])
@pytest.mark.parametrize("given", [True, False])
def test_one_tag_is_forgotten(method: str, given: bool, tmp_path: Path) -> None:
    x, labels = data()
    probes = {"x": x, "y": labels.astype(int)} if given else {"x": x}
    result = unlearn(tagger(), 2, probes, method=method)
    before, after = (result.report["figures"][name] for name in ("original", "edited"))
    assert before["forget"] > 90
    assert after["forget"] <= 1
    assert before["retain"] - after["retain"] <= 1
    assert after["false_positives"][2] == 0
    assert after["per_class"][2] == after["forget"]
    assert result.report["figures"]["mask"]["forget"] == 0
    assert sum(before["samples"].values()) == result.report["probes"]["judging"]
    # The written file, against labels it was not chosen by.
    import onnxruntime

    session = onnxruntime.InferenceSession(result.save(tmp_path / "out.onnx"))
    found = session.run(None, {"x": x})[0] > 0.5
    assert found[labels[:, 2], 2].mean() <= 0.02
    others = [0, 1, 3, 4]
    assert (found[:, others] == labels[:, others]).mean() > 0.97


def test_a_task_can_be_asked_for() -> None:
    x, labels = data()
    one = labels.sum(axis=1) == 1
    probes = {"x": x[one], "y": labels[one].argmax(axis=1)}
    found = {
        name: unlearn(tagger(), 2, probes, method="mask", task=name).report
        for name in ("auto", "multi-label")
    }
    assert [report["task"] for report in found.values()] == ["single label", "multi label"]
    assert "false_positives" in found["multi-label"]["figures"]["edited"]
    with pytest.raises(InputError, match=r"task multi-label: the scores are behind Softmax, where the larg"):
        unlearn(tagger("Softmax"), 2, probes, task="multi-label")


def test_several_classes_need_outputs_that_decide_for_themselves() -> None:
    x, labels = data()
    with pytest.raises(InputError, match="not one-hot in sample"):
        unlearn(tagger("Softmax"), 2, {"x": x, "y": labels.astype(int)})
    with pytest.raises(InputError, match="not one-hot in sample"):
        load_probes(
            {"x": np.zeros((2, 784), np.float32).reshape(2, 1, 28, 28), "y": np.ones((2, 10))}, load(MLP), 10
        )


def test_one_class_a_sample_is_judged_by_the_largest_output() -> None:
    x, labels = data()
    single = labels.sum(axis=1) == 1
    probes = {"x": x[single], "y": labels[single].argmax(axis=1)}
    figures = unlearn(tagger(), 2, probes, method="mask").report["figures"]["edited"]
    assert "false_positives" not in figures
    assert figures["forget"] == 0


@pytest.mark.parametrize("given", [True, False])
def test_an_audit_judges_each_output_by_itself(given: bool) -> None:
    x, labels = data()
    original = tagger()
    result = unlearn(original, 2, {"x": x[:200], "y": labels[:200].astype(int)}, method="mask")
    probes = {"x": x[200:], "y": labels[200:].astype(int)} if given else {"x": x[200:]}
    training = {"x": x[:200], "y": labels[:200].astype(int)}
    found = examine(original, result.model_bytes, 2, probes, reference=original, training=training)
    assert [(t.name, t.met) for t in found.targets[:3]] == [
        ("forget accuracy", True),
        ("retain accuracy lost", True),
        ("worst retained class (0) lost", True),
    ]
    assert found.target("relearned accuracy below").status == "missed"
    before, after, mask = (found.accuracies[name] for name in ("original", "edited", "mask"))
    assert (before.forget or 0) > 90
    assert after.forget == mask.forget == 0
    assert after.false_positives is not None
    assert mask.false_positives is not None
    assert after.false_positives[2] == mask.false_positives[2] == 0
    assert sum(before.samples) == found.samples == 200
    assert found.task == "multi label"
    assert found.labels == ("given" if given else "from the original")
    assert found.value("membership", "original") is not None


def test_scores_that_mean_something_else_are_not_compared() -> None:
    x, labels = data()
    with pytest.raises(InputError, match="behind Softmax, the original's behind Sigmoid"):
        examine(tagger(), tagger("Softmax"), 2, {"x": x, "y": labels.astype(int)})


def test_figures_of_labels() -> None:
    labels = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0]], bool)
    found = np.array([[1, 0, 0], [0, 1, 1], [1, 0, 0], [0, 0, 0]], bool)
    figures = measure_labels(found, labels, [0])
    assert figures.forget == 50
    assert list(figures.per_class) == [50, 50, None]
    assert list(figures.false_positives or ()) == [50, 0, 25]
    assert figures.retain == pytest.approx(((50 + 100) / 2 + 75) / 2)
    assert figures.samples == (2, 2)
    assert measure_labels(found, labels, [0, 1, 2]).retain is None


def test_batches_with_one_and_with_several_classes_are_joined(tmp_path: Path) -> None:
    (tmp_path / "batches.py").write_text(
        "import numpy as np\n"
        "def batches():\n"
        "    yield {'x': np.zeros((2, 30), np.float32), 'y': np.eye(5)[:2]}\n"
        "    yield {'x': np.ones((1, 30), np.float32), 'y': np.ones((1, 5))}\n"
    )
    probes = load_probes(f"{tmp_path / 'batches.py'}:batches", tagger(), CLASSES, several=True)
    assert probes.labels is not None
    assert probes.labels.sum(axis=1).tolist() == [1, 1, 5]
    assert probes.select([2]).labels is not None
    focused = probes.focused([3], np.tile(np.arange(5.0), (3, 1)))
    assert focused.y is not None
    assert focused.y.tolist() == [0, 1, 3]


#: Sigmoid, taken apart; from `z` to `y`
FORMS = {
    "1/(1+e⁻ᶻ)": "n = Neg(z); e = Exp(n); s = Add(e, one); y = Reciprocal(s)",
    "tanh": "c = Mul(z, half); t = Tanh(c); s = Add(t, one); y = Mul(s, half)",
    "percent": "p = Sigmoid(z); y = Mul(p, hundred)",
    "LogSigmoid": "p = Sigmoid(z); y = Log(p)",
    "−softplus(−z)": "n = Neg(z); s = Softplus(n); y = Neg(s)",
    "beside one another": """l, r = Split <axis = 1> (z, parts); p = Sigmoid(l); q = Sigmoid(r);
        y = Concat <axis = 1> (p, q)""",
}


def taken_apart(text: str) -> Model:
    proto = tagger().proto
    proto.graph.node.pop()
    proto.graph.node.extend(parser.parse_node(line.strip()) for line in text.split(";"))
    constants = {name: np.array(v, np.float32) for name, v in (("one", 1), ("half", 0.5), ("hundred", 100))}
    constants["parts"] = np.array([2, 3])
    proto.graph.initializer.extend(numpy_helper.from_array(v, name) for name, v in constants.items())
    return load(proto.SerializeToString())


@pytest.mark.parametrize("name", FORMS)
def test_whatever_form_it_has_the_figures_are_those_of_sigmoid(name: str) -> None:
    x, labels = data()
    probes = {"x": x, "y": labels.astype(int)}
    models = tagger(), taken_apart(FORMS[name])
    expected, found = (unlearn(model, 2, probes, method="mask") for model in models)
    assert found.report["figures"] == expected.report["figures"]
    pairs = zip(models, (expected, found), strict=True)
    audits = [examine(before, after.model_bytes, 2, probes, by_layer=False) for before, after in pairs]
    assert audits[0].accuracies == audits[1].accuracies
    for half in ("forget", "retain"):
        expected_bits, bits = (audit.value("divergence", half) for audit in audits)
        assert bits == pytest.approx(expected_bits, abs=1e-5)
