"""Layers of a reference that another exporter wrote: other names, the same places."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxunlearn.graph import Model, load
from onnxunlearn.judge import Findings, Row, judge
from onnxunlearn.judge.attacks.bottleneck_probes import bottleneck_probes
from onnxunlearn.judge.attacks.layer_probes import layer_probes
from onnxunlearn.probes import Probes

from ...sample_paths import CNN, MLP, images
from ..made_evidence import Asked, evidence_of

X, Y = images("mnist_test")
SOME = Probes({"x": X[::10]}, Y[::10], "digits")
REFERENCE = CNN.with_name("mnist_cnn.without3.onnx")
PROBES = {"layer-probes", "bottleneck-probes"}


def renamed(path: Path, to: Path) -> Model:
    """As another exporter would call everything inside."""
    proto = onnx.load(path)
    outside = {value.name for value in (*proto.graph.input, *proto.graph.output)}
    del proto.graph.value_info[:]
    for tensor in proto.graph.initializer:
        tensor.name = f"renamed {tensor.name}"
    for number, node in enumerate(proto.graph.node):
        node.name = f"node_{number}"
        for names in (node.input, node.output):
            names[:] = [n if not n or n in outside else f"renamed {n}" for n in names]
    onnx.save(proto, to)
    return load(to)


def asked(reference: Model, edited: Model | None = None) -> Asked:
    model = load(CNN)
    models = {"original": model, "edited": edited or model, "reference": reference}
    return evidence_of(models, SOME, (3,), thorough=True, attacks=frozenset(PROBES))


def rows(evidence: Asked) -> list[Row]:
    return [*layer_probes(evidence), *bottleneck_probes(evidence)]


def judged(reference: Model) -> Findings:
    return judge(asked(reference), 0.5, "given")


def target(found: Findings) -> tuple[str, str, str]:
    (one,) = (t for t in found.targets if t.name.startswith("linear probe"))
    return one.name, one.status, one.note


def test_a_reference_from_another_exporter_says_what_it_would_by_the_usual_names(tmp_path: Path) -> None:
    other = renamed(REFERENCE, tmp_path / "other.onnx")
    by_name, by_order = rows(asked(load(REFERENCE))), rows(asked(other))
    assert len(by_name) > 10
    assert by_order == by_name
    assert target(judged(other)) == target(judged(load(REFERENCE)))


def test_so_does_an_edited_model(tmp_path: Path) -> None:
    reference = load(REFERENCE)
    other = renamed(CNN, tmp_path / "other.onnx")
    assert rows(asked(reference, other)) == rows(asked(reference))


@pytest.mark.parametrize("kind", ["another number", "another shape"])
def test_a_reference_of_another_kind_leaves_the_target_unknown_with_the_reason(
    tmp_path: Path, kind: str
) -> None:
    reference = load(MLP)
    why = "3 where the original has 4"
    if kind == "another shape":
        renamed(REFERENCE, tmp_path / "other.onnx")
        narrower = onnx.load(tmp_path / "other.onnx")
        _narrow(narrower.graph)
        onnx.save(narrower, tmp_path / "narrow.onnx")
        reference = load(tmp_path / "narrow.onnx")
        why = "dense"
    found = judged(reference)
    name, status, note = target(found)
    assert name.endswith(", against the reference")
    assert status == "unknown"
    assert note.startswith("reference not compared: ")
    layers = [row for row in found.rows if row.name.startswith("layer ") and row.table]
    assert layers
    for row in layers:
        assert row.values["reference"].value is None  # shown as not measured, not left out
        assert row.values["edited"].value is not None
        assert why in row.note


def test_an_edited_model_of_another_kind_is_said_not_to_be_compared() -> None:
    found = rows(asked(load(REFERENCE), load(MLP)))
    assert [row.name for row in found] == ["layer-probes, not run", "bottleneck-probes, not run"]
    assert all("edited not compared: " in row.note for row in found)


def _narrow(graph: onnx.GraphProto) -> None:
    """The last hidden layer loses a neuron."""
    *_, hidden, last = [node for node in graph.node if node.op_type == "Gemm"]
    for tensor in graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        if tensor.name in hidden.input[1:]:
            tensor.CopyFrom(onnx.numpy_helper.from_array(array[:-1].copy(), tensor.name))
        if tensor.name == last.input[1]:
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(array[:, :-1]), tensor.name))
