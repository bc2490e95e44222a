"""Whatever shape a classifier's file has, it forgets the class, and nothing else in the file differs."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxunlearn import unlearn
from onnxunlearn.engines import create_engine
from onnxunlearn.errors import OnnxUnlearnError, UnsupportedError
from onnxunlearn.graph import Model, expose, find_logits, load
from onnxunlearn.judge import diff
from onnxunlearn.lowering import lower
from onnxunlearn.unlearn import Result

from .odd_models import KINDS, REBUILT, Feeds, append, node, sample, sparse, store
from .sample_paths import images

ort = pytest.importorskip("onnxruntime")

SKLEARN = Path(__file__).parent / "reference" / "sklearn"


def probes() -> Feeds:
    return dict(zip("xy", images("mnist_probes"), strict=True))


def loaded(proto: onnx.ModelProto) -> Model:
    return load(proto.SerializeToString())


def assert_forgets(model: Model, data: Feeds, method: str, folder: Path, forget: int = 3) -> Result:
    result = unlearn(model, forget, data, method=method, max_retain_drop=1)
    figures = result.report["figures"]
    assert figures["original"]["forget"] >= 70
    one = {part: 100 / n for part, n in figures["original"]["samples"].items()}  # a sample, in percent
    assert figures["edited"]["forget"] <= max(1, one["forget"])
    assert figures["original"]["retain"] - figures["edited"]["retain"] <= max(2, 2 * one["retain"])
    edited = load(result.save(folder / "out.onnx"))
    found = diff(model, edited, lower(model))
    assert found.tensors
    assert found.others == ()
    assert found.sizes[0] == found.sizes[1]
    ort.InferenceSession(folder / "out.onnx")
    return result


@pytest.mark.parametrize("method", ["lra-npp", "mask"])
@pytest.mark.parametrize("name", REBUILT)
def test_a_sample_model_in_another_form(name: str, method: str, tmp_path: Path) -> None:
    proto, data = sample(), probes()
    REBUILT[name](proto)
    if name == "channels last":
        data["x"] = data["x"].transpose(0, 2, 3, 1)
    assert_forgets(loaded(proto), data, method, tmp_path)


@pytest.mark.parametrize("name", [n for n in REBUILT if "softmax" in n])
def test_logits_are_found_before_a_softmax(name: str) -> None:
    proto = sample()
    REBUILT[name](proto)
    found = find_logits(loaded(proto))
    assert found.tensor == ("z" if "temperature" in name else "logits")
    assert found.normaliser in {"Softmax", "LogSoftmax"}


@pytest.mark.parametrize("method", ["lra-npp", "mask"])
@pytest.mark.parametrize("name", KINDS)
def test_another_kind_of_network(name: str, method: str, tmp_path: Path) -> None:
    proto, data = KINDS[name]()
    y = data.pop("y")
    assert_forgets(loaded(proto), {**data, "y": y}, method, tmp_path, forget=1)


@pytest.mark.parametrize("method", ["lra-npp", "mask"])
@pytest.mark.parametrize("name", ["mlp_map", "mlp_tensor", "pipeline_map", "pipeline_tensor"])
def test_networks_of_scikit_learn(name: str, method: str, tmp_path: Path) -> None:
    with np.load(SKLEARN / "digits.npz") as archive:
        data = {key: archive[key] for key in ("x", "y")}
    result = assert_forgets(load(SKLEARN / f"{name}.onnx"), data, method, tmp_path)
    assert result.report["model"]["logits"] == "add_result1"
    session = ort.InferenceSession(tmp_path / "out.onnx")
    labels = session.run(None, {"X": data["x"]})[0]
    assert 3 not in labels[data["y"] == 3]


@pytest.mark.parametrize("kind", ["map", "tensor"])
def test_what_has_no_weights_is_refused(kind: str) -> None:
    with np.load(SKLEARN / "digits.npz") as archive:
        data = {key: archive[key] for key in ("x", "y")}
    refused(
        load(SKLEARN / f"forest_{kind}.onnx"),
        data,
        "TreeEnsembleClassifier",
        "in its attributes",
        "trained again",
    )


def test_trees_in_a_file_that_needs_no_standard_ops() -> None:
    """As LightGBM's and XGBoost's converters write it: logarithms of its probabilities are standard ops."""
    proto = onnx.load(SKLEARN / "forest_tensor.onnx")
    del proto.opset_import[:]
    proto.opset_import.append(onnx.helper.make_opsetid("ai.onnx.ml", 3))
    model = load(proto.SerializeToString())
    x = np.random.default_rng(0).normal(size=(20, model.shapes[model.inputs[0].name][1] or 1))
    engine = create_engine("onnxruntime")
    feeds = {model.inputs[0].name: x.astype(np.float32)}
    logits = find_logits(model)
    scores = engine.session(expose(model, [logits.scores])).run(feeds)[logits.scores]
    seen = logits.as_seen(model, scores)
    made = engine.session(expose(seen.within(model), [seen.tensor])).run(feeds)[seen.tensor]
    np.testing.assert_allclose(made, np.log(np.maximum(scores, 1e-30)), rtol=1e-5)


@pytest.mark.parametrize("method", ["head", "lra-npp", "mask"])
@pytest.mark.parametrize("kind", ["map", "tensor"])
def test_weights_in_attributes(kind: str, method: str, tmp_path: Path) -> None:
    """The class's row changes where the node has it, and not another byte: no sample gets its label, and all
    others what they had."""
    with np.load(SKLEARN / "digits.npz") as archive:
        data = {key: archive[key] for key in ("x", "y")}
    path = SKLEARN / f"logistic_{kind}.onnx"
    result = assert_forgets(load(path), data, method, tmp_path)
    found = diff(path, tmp_path / "out.onnx")
    assert found.others == ()
    assert {t.name for t in found.tensors} <= {"label / coefficients", "label / intercepts"}
    assert all(t.layer == "LinearClassifier" for t in found.tensors)
    assert len(result.model_bytes) == path.stat().st_size
    before, after = (
        ort.InferenceSession(p).run(None, {"X": data["x"]})[0] for p in (path, tmp_path / "out.onnx")
    )
    assert 3 not in after
    if method != "lra-npp":  # which damps rows of others, too
        assert (before == after)[before != 3].all()


def refused(model: Model, data: Feeds, *said: str) -> None:
    for method in ("lra-npp", "mask"):
        with pytest.raises(UnsupportedError) as caught:
            unlearn(model, 3, data, method=method)
        assert "\n" not in str(caught.value)
        for part in said:
            assert part in str(caught.value)


def test_a_sparse_head_is_refused() -> None:
    proto = sample()
    sparse(proto, proto.graph.node[-1].input[1])
    refused(loaded(proto), probes(), "9.weight", "sparse")


def test_a_head_whose_weight_is_computed_is_refused() -> None:
    proto = sample()
    head = proto.graph.node[-1]
    proto.graph.node.insert(0, node("Mul", [head.input[1], store(proto, "one", 1)], ["w"]))
    proto.graph.node[-1].input[1] = "w"
    refused(loaded(proto), probes(), "'w'", "computed from other values")
    while_running = sample()
    head = while_running.graph.node[-1]
    while_running.graph.node.insert(0, node("ReduceMean", ["x"], ["mean"], keepdims=0))
    while_running.graph.node.insert(1, node("Add", [head.input[1], "mean"], ["w"]))
    while_running.graph.node[-1].input[1] = "w"
    refused(loaded(while_running), probes(), "'w'", "computed while the model runs")


def test_an_op_without_a_runtime_is_refused() -> None:
    proto = sample()
    proto.opset_import.append(helper.make_opsetid("acme", 1))
    append(proto, node("Secret", ["logits"], ["y"], name="secret", domain="acme"))
    refused(loaded(proto), probes(), "'secret'", "acme::Secret")


def test_a_shared_weight_is_never_edited() -> None:
    """The head's weight is read twice: the one method has another tensor to take, the other stops."""
    proto = sample()
    x, w, _ = proto.graph.node[-1].input
    append(
        proto,
        node("Gemm", [x, w], ["again"], name="again", transB=1),
        node("Add", ["logits", "again"], ["y"]),
    )
    model = loaded(proto)
    with pytest.raises(UnsupportedError, match=r"made by 2 layers together \('/9/Gemm', 'again'\)"):
        unlearn(model, 3, probes(), method="lra-npp")
    result = unlearn(model, 3, probes(), method="mask")
    assert [t["name"] for t in result.report["changes"]["tensors"]] == ["9.bias"]


def test_integers_shared_by_two_layers_are_never_edited() -> None:
    """Each of the two has floats of its own in the lowered model; the file has them once."""
    rng = np.random.default_rng(0)
    stored: Feeds = {
        "q": rng.integers(-127, 128, (4, 4)).astype(np.int8),
        "s": np.array(0.01, np.float32),
    }
    nodes = []
    for i, source in enumerate(("x", "h0")):
        nodes.append(node("DequantizeLinear", ["q", "s"], [f"w{i}"]))
        nodes.append(node("Gemm", [source, f"w{i}"], [f"h{i}"], name=f"layer{i}"))
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 4]) for n in ("x", "h1")]
    tensors = [numpy_helper.from_array(array, name) for name, array in stored.items()]
    graph = helper.make_graph(nodes, "tied", infos[:1], infos[1:], tensors)
    model = loaded(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]))
    x = rng.normal(size=(80, 4)).astype(np.float32)
    with pytest.raises(OnnxUnlearnError, match="is shared with"):
        unlearn(model, 1, {"x": x}, method="lra-npp")
