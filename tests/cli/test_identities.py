"""An identity is forgotten on the command line, from arrays and from folders, and again by replay."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from ..sample_paths import CNN
from ..tiny_embedder import asked, embedder, samples
from .command import onnxunlearn

RUN = ("run", "m.onnx", "--forget-samples", "with.npz", "--like", "others.npz", "--method", "project")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shared = asked(0)
    np.savez(tmp_path / "with.npz", **shared.samples)  # type: ignore[arg-type]
    np.savez(tmp_path / "others.npz", **shared.like)  # type: ignore[arg-type]
    (tmp_path / "m.onnx").write_bytes(embedder())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_run_replay_verify_and_audit(folder: Path) -> None:
    ran = onnxunlearn(*RUN, "--html", "--card", "--sbom", "-v")
    assert "verification on unseen probes" in ran.out
    assert "pairs of the identity accepted" in ran.out
    assert "accuracy" not in ran.out
    report = json.loads((folder / "m.unlearned.report.json").read_text())
    assert report["task"] == "embedding"
    assert "an embedding of 16 numbers" in (folder / "m.unlearned.cdx.json").read_text()
    given = ("--forget-samples", "with.npz", "--like", "others.npz")
    assert onnxunlearn("replay", "m.unlearned.report.json", "--model", "m.onnx", *given).code == 0
    wrong = ("--forget-samples", "with.npz", "--like", "with.npz")
    other = onnxunlearn("replay", "m.unlearned.report.json", "--model", "m.onnx", *wrong)
    assert other.code == 2
    held = ("verify", "m.unlearned.onnx", "--original", "m.onnx", "--report", "m.unlearned.report.json")
    assert onnxunlearn(*held, *given).code in (0, 1)
    audited = onnxunlearn("audit", "m.onnx", "m.unlearned.onnx", *given, "--html")
    assert audited.code in (0, 1)
    assert "the identity taken for others" in audited.out
    assert (folder / "m.unlearned.audit.html").exists()


def test_two_in_one_request(folder: Path) -> None:
    x, y = samples(0, 24)
    for name, who in (("alice", 2), ("bob", 5)):
        np.savez(folder / f"{name}.npz", x=x[y == who])
    others = ~np.isin(y, (2, 5))
    np.savez(folder / "rest.npz", x=x[others], y=y[others])
    both = ("--forget-samples", "alice.npz", "--forget-samples", "bob.npz", "--like", "rest.npz")
    ran = onnxunlearn("run", "m.onnx", *both, "--method", "project")
    for told in ("pairs of 2 identities accepted", "each identity to forget", "bob: pairs of the identity"):
        assert told in ran.out
    again = ("replay", "m.unlearned.report.json", "--model", "m.onnx")
    assert onnxunlearn(*again, *both).code == 0
    one = onnxunlearn(*again, "--forget-samples", "alice.npz", "--like", "rest.npz")
    assert one.code == 2
    assert "--forget-samples: given 1, the run had 2 (alice.npz, bob.npz); give it once for each" in one.err
    turned = ("--forget-samples", "bob.npz", "--forget-samples", "alice.npz", "--like", "rest.npz")
    assert onnxunlearn(*again, *turned).code == 2
    audited = onnxunlearn("audit", "m.onnx", "m.unlearned.onnx", *both, "--json")
    rows = {row["name"] for row in json.loads(audited.out)["rows"]}
    assert {"identity verified alice", "identity verified bob"} <= rows


def test_of_a_classifier_what_is_shared_is_one_thing(folder: Path) -> None:
    (folder / "c.onnx").write_bytes(CNN.read_bytes())
    found = onnxunlearn("run", "c.onnx", "--forget-samples", "with.npz", "--forget-samples", "others.npz")
    assert found.code == 2
    assert "given 2 times, which is for identities in an embedding" in found.err


def test_people_in_folders(folder: Path) -> None:
    weight = np.random.default_rng(0).normal(size=(8, 3 * 4 * 4)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["x"], ["flat"]),
            helper.make_node("Gemm", ["flat", "w"], ["e"], transB=1, name="last"),
        ],
        "faces",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 4, 4])],
        [helper.make_tensor_value_info("e", TensorProto.FLOAT, ["N", 8])],
        [numpy_helper.from_array(weight, "w")],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "faces.onnx"
    )
    rng = np.random.default_rng(1)
    for name in ("alice", "bob", "carol", "dave"):
        own = rng.integers(40, 215, (4, 4, 3))
        (folder / "people" / name).mkdir(parents=True)
        for i in range(9):
            pixels = np.clip(own + rng.integers(-40, 40, own.shape), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "people" / name / f"{i}.png")
    people = ("--forget-samples", "people/alice", "--data", "people", "--task", "embedding")
    ran = onnxunlearn("run", "faces.onnx", *people, "--json", "--method", "project", "--dry-run")
    report = json.loads(ran.out)
    assert report["probes"]["choosing"] == 24
    assert any("alice is the identity to forget: 9 samples" in note for note in report["notes"])
