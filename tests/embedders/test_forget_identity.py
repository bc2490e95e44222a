"""An embedding forgets an identity: from samples to a report, and again in an audit."""

from pathlib import Path

import jsonschema
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnxunlearn import SharedBy, examine, inspect, unlearn
from onnxunlearn.errors import InputError
from onnxunlearn.judge import schema
from onnxunlearn.render import paper
from onnxunlearn.unlearn import Result

from ..small_network import network
from ..tiny_embedder import asked, embedder, samples


@pytest.fixture(scope="module")
def result() -> Result:
    return unlearn(embedder(), asked(0), method="scatter", parameters={"steps": 150})


def test_the_identity_is_no_longer_verified_and_others_are(result: Result) -> None:
    found = examine(embedder(), result.edited.model(), asked(1, 60), reference=embedder())
    assert found.task == "embedding"
    own, others = (
        {c: found.value(f"identity {row}", c) for c in ("original", "edited", "reference")}
        for row in ("verified", "others")
    )
    assert own["original"] == own["reference"]
    assert (own["original"] or 0) > 80
    assert (own["edited"] or 100) < 12
    assert abs((others["original"] or 0) - (others["edited"] or 0)) < 2
    assert (found.value("identity nearer") or 100) < 70
    assert (found.value("identity enrolled before") or 0) < 12
    assert found.target("enrolled again").status in ("passed", "undecided")
    jsonschema.validate(found.to_json() | {"kind": "audit"}, schema())


def test_nothing_is_passed_of_what_is_more_than_the_original_with_other_weights(result: Result) -> None:
    proto = onnx.ModelProto.FromString(result.model_bytes)
    proto.graph.initializer.append(numpy_helper.from_array(np.zeros(9, np.float32), "kept"))
    models = result.edited.model(), proto.SerializeToString()
    plain, more = (examine(embedder(), model, asked(1, 60)) for model in models)
    assert "passed" in {target.status for target in plain.targets}
    assert "passed" not in {target.status for target in more.targets}
    assert any("stores 36 bytes more that no output needs" in line for line in more.about["warnings"])


def test_the_report_keeps_to_the_schema_and_papers_can_be_made_of_it(result: Result) -> None:
    report = result.report
    jsonschema.validate(report, schema())
    assert report["forget"]["samples"]["samples"] == {"with": 8, "without": 56}
    assert any("never saw" in note for note in report["notes"])
    page, card = (paper(kind, report).decode() for kind in ("html", "card"))
    for text in (page, card):
        assert "verifies" in text or "accepts" in text
        assert "classification" not in text


def test_the_same_comes_again(result: Result) -> None:
    again = unlearn(embedder(), asked(0), method="scatter", parameters={"steps": 150})
    assert again.model_bytes == result.model_bytes


def test_what_is_not_scaled_is_one_if_the_user_says_so() -> None:
    model = embedder(scaled=False)
    found = unlearn(model, asked(0), method="project", task="embedding")
    assert found.findings.task == "embedding"
    assert inspect(model).embedding is None
    assert inspect(model, task="embedding").embedding == {"size": 16, "by": ""}
    assert (inspect(embedder()).embedding or {})["size"] == 16


def test_the_identity_among_the_others_is_left_out() -> None:
    x, y = samples(0, 12)
    found = unlearn(embedder(), SharedBy({"x": x[y == 2]}), {"x": x, "y": y}, method="project")
    assert any("is the identity to forget: 12 samples are left out" in note for note in found.findings.notes)
    with pytest.raises(InputError, match="are of 2 identities"):
        unlearn(embedder(), SharedBy({"x": x[y < 2]}), {"x": x, "y": y}, method="project")


def x_of(who: int, count: int = 12) -> np.ndarray:
    x, y = samples(5, count)
    return x[y == who]


@pytest.mark.parametrize(
    ("forget", "options", "said"),
    [
        (3, {}, "forget an identity with --forget-samples"),
        (3, {"task": "embedding"}, "give samples of the identity with --forget-samples"),
        (SharedBy({"x": x_of(0)}), {}, "no samples of others"),
        (SharedBy({"x": x_of(0)}, {"x": x_of(1)}), {}, "does not say who is who"),
        (SharedBy({"x": x_of(0, 3)}, {"x": samples(0, 8)[0], "y": samples(0, 8)[1]}), {}, "at least 4"),
        (SharedBy({"x": x_of(0)}, {"x": x_of(1), "y": np.ones(12, int)}), {}, "two others"),
        (SharedBy({"x": x_of(0)}, {"x": x_of(0), "y": np.ones(12, int)}, paired=True), {}, "--paired"),
        (SharedBy({"x": x_of(0)}, {"x": x_of(0), "y": np.ones(12, int)}), {"retain": x_of(1)}, "--retain"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(forget: object, options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        unlearn(embedder(), forget, **options)  # type: ignore[arg-type]


def test_several_outputs_have_to_be_chosen_from() -> None:
    model = network(outputs=(("logits", 6), ("a", 32))).SerializeToString()
    with pytest.raises(InputError, match="several outputs could be an embedding: logits, a"):
        inspect(model, task="embedding")
    assert (inspect(model, "a", task="embedding").embedding or {})["size"] == 32


def test_a_saved_run_is_one_file(result: Result, tmp_path: Path) -> None:
    out = result.save(tmp_path / "edited.onnx")
    assert out.read_bytes() == result.model_bytes
