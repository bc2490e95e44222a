"""Streams of several inputs, or of several classes a sample: nothing differs from what is held."""

from pathlib import Path

import numpy as np
import pytest
from onnx import helper, numpy_helper, parser

from onnxunlearn import examine, load
from onnxunlearn.engines import create_engine
from onnxunlearn.graph import Model, patch
from onnxunlearn.probes import unread
from onnxunlearn.streams import readers

from ..test_multi_label import data as tags
from ..test_multi_label import tagger

GRAPH = """
agraph (float[BATCH, 30] x, int64[BATCH, 1] ids) => (float[BATCH, 4] z)
{
    h = MatMul (x, w)
    f = Relu (h)
    looked_up = Gather <axis = 0> (embedding, ids)
    axis = Constant <value_ints = [1]> ()
    e = Squeeze (looked_up, axis)
    c = Concat <axis = 1> (f, e)
    z = Gemm (c, head, bias)
}
"""


def two_inputs(batch: str) -> Model:
    """Numbers, and an index that is looked up in an embedding; random weights."""
    rng = np.random.default_rng(0)
    sizes = {"w": (30, 24), "embedding": (8, 8), "head": (32, 4), "bias": (4,)}
    graph = parser.parse_graph(GRAPH.replace("BATCH", batch))
    for name, shape in sizes.items():
        graph.initializer.append(numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name))
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    return load(model.SerializeToString())


def masked(model: Model) -> Model:
    """The same, never giving class 2."""
    bias = model.array("bias").copy()
    bias[2] -= 100
    return load(patch(model, {"bias": bias}))


@pytest.mark.parametrize(
    ("batch", "kind", "held"),  # of 20,000 bytes x alone is unread, of 0 all are
    [("N", "labelled", 0), ("N", "unlabelled", 20_000), ("8", "compressed", 20_000), ("8", "by name", 0)],
)
def test_several_inputs(
    batch: str, kind: str, held: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = two_inputs(batch)
    rng = np.random.default_rng(1)
    count = 203  # the last batch is not full
    feeds: dict[str, np.ndarray] = {
        "x": rng.normal(size=(count, 30)).astype(np.float32),
        "ids": rng.integers(0, 8, (count, 1)),
    }
    free = create_engine().session(two_inputs("N").proto)
    y = free.run(feeds)["z"].argmax(axis=1)
    y[:10] = (y[:10] + 1) % 4  # the model is not always right
    names = ["ant", "bee", "cat", "dog"]
    told = {"unlabelled": {}, "by name": {"y": np.array(names)[y]}}.get(kind, {"y": y})
    save = np.savez_compressed if kind == "compressed" else np.savez
    save(tmp_path / "a.npz", **feeds, **told)  # type: ignore[arg-type]
    edited = masked(model)
    labels = names if kind == "by name" else None
    expected = examine(model, edited, 2, tmp_path / "a.npz", by_layer=False, labels=labels).to_json()
    monkeypatch.setattr(readers, "HELD", held)
    monkeypatch.setattr(unread, "BLOCK", 20 * 120)
    assert examine(model, edited, 2, tmp_path / "a.npz", by_layer=False, labels=labels).to_json() == expected


@pytest.mark.parametrize(("kind", "held"), [(np.int64, 0), (bool, 20_000), (None, 0)])
def test_several_classes_a_sample(
    kind: type | None, held: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, (x, labels) = tagger(), tags()
    told: dict[str, np.ndarray] = {} if kind is None else {"y": labels.astype(kind)}
    np.savez(tmp_path / "a.npz", x=x, **told)  # type: ignore[arg-type]
    edited = masked(model)
    expected = examine(model, edited, 2, tmp_path / "a.npz", by_layer=False).to_json()
    monkeypatch.setattr(readers, "HELD", held)
    monkeypatch.setattr(unread, "BLOCK", 20 * 120)
    assert examine(model, edited, 2, tmp_path / "a.npz", by_layer=False).to_json() == expected
