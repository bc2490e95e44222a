"""Audits of streams: what they say of all samples is what they say of held ones, and little is held."""

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from onnxunlearn import Examination, examine, load, streams, unlearn
from onnxunlearn.engines import create_engine
from onnxunlearn.errors import InputError
from onnxunlearn.graph import find_logits
from onnxunlearn.judge import attack, evidence, running, subject
from onnxunlearn.probes import Readers, Unread, copy_groups, unread
from onnxunlearn.probes import load as loading
from onnxunlearn.probes.probes import Probes
from onnxunlearn.streams import drawing, readers

from ..sample_paths import CNN, MLP, images, probes
from ..test_multi_label import data as tags
from ..test_multi_label import tagger
from .counting import Counting

SAMPLE = 28 * 28 * 4
X, Y = (array[:600] for array in images("mnist_test"))
EDITED = unlearn(CNN, 3, probes(), method="lra-npp").model_bytes


def patched(patch: pytest.MonkeyPatch, held: int = 0, most: int = 2000, kept: int = 2**22) -> None:
    patch.setattr(readers, "HELD", held)
    patch.setattr(unread, "BLOCK", 20 * SAMPLE)
    patch.setattr(drawing, "RESERVOIR", most)
    patch.setattr(evidence, "RESERVOIR", most)
    patch.setattr(running, "KEPT", kept)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images as files; three of them twice."""
    made = tmp_path_factory.mktemp("digits")
    for i, (image, label) in enumerate(zip(X, Y, strict=True)):
        pixels = (255 * (image[0] - X.min()) / (X.max() - X.min())).astype(np.uint8)
        (made / str(label)).mkdir(exist_ok=True)
        for copy in "ab" if i < 3 else "a":
            Image.fromarray(pixels).save(made / str(label) / f"{i}{copy}.png")
    return made


@pytest.fixture(scope="module")
def preprocess(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("settings") / "preprocess.json"
    scale = float(X.max() - X.min()) / 255
    path.write_text(json.dumps({"channel_order": "L", "scale": scale, "mean": -float(X.min()), "std": 1.0}))
    return path


def audit(data: Path, preprocess: Path | None, **options: Any) -> Examination:
    return examine(CNN, EDITED, 3, data, preprocess=preprocess, by_layer=False, **options)


@pytest.fixture(scope="module")
def held(folder: Path, preprocess: Path) -> Examination:
    """All at once."""
    return audit(folder, preprocess)


def test_where_the_reservoir_holds_all_nothing_differs(
    folder: Path, preprocess: Path, held: Examination, monkeypatch: pytest.MonkeyPatch
) -> None:
    patched(monkeypatch)
    assert held.copies == 3
    assert audit(folder, preprocess).to_json() == held.to_json()


def test_scores_on_disk_say_the_same(
    folder: Path, preprocess: Path, held: Examination, monkeypatch: pytest.MonkeyPatch
) -> None:
    patched(monkeypatch, most=200, kept=100)
    spilled: list[object] = []
    whole = streams.Spill.whole

    def noted(spill: streams.Spill) -> np.ndarray:
        found = whole(spill)
        spilled.append(found)
        return found

    monkeypatch.setattr(streams.Spill, "whole", noted)
    found = audit(folder, preprocess)
    assert {part.shape for part in spilled if isinstance(part, Unread)} >= {(603, 10), (600, 10)}
    assert found.accuracies == held.accuracies
    attacks = {"relearn", "relearn-below"}
    for one, other in zip(found.rows, held.rows, strict=True):
        assert one.name == other.name
        assert one.name in attacks or one.to_json() == other.to_json()


def test_of_a_long_stream_some_samples_are_attacked_and_the_report_says_so(
    folder: Path, preprocess: Path, held: Examination, monkeypatch: pytest.MonkeyPatch
) -> None:
    patched(monkeypatch, most=100)
    found = audit(folder, preprocess, training=folder)
    assert found.to_json() == audit(folder, preprocess, training=folder).to_json()
    assert found.accuracies == held.accuracies
    assert found.samples == 600
    rows = {row.name: row for row in found.rows}
    note = "attacks: on 100 of 600 samples, drawn with seed 0"
    assert {name for name, row in rows.items() if row.note == note} >= {"relearn", "membership"}
    of_class = int((Y == 3).sum())
    assert rows["forget"].values["edited"].samples == of_class
    assert rows["forget"].note == ""
    assert rows["membership"].values["edited"].samples == 50  # half of them, of more
    assert of_class > 50
    other = audit(folder, preprocess, training=folder, seed=1)
    assert other.accuracies == held.accuracies
    assert other.row("relearn") != rows["relearn"]


@pytest.mark.parametrize(("kept", "named"), [(2**22, ["head-refit", "membership"]), (100, None)])
def test_no_more_than_two_batches_are_ever_held(
    folder: Path, preprocess: Path, kept: int, named: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    patched(monkeypatch, most=150, kept=kept)
    counts: list[Counting] = []

    def counted(*given: Any) -> np.ndarray:
        made: object = readers.images(*given)
        assert isinstance(made, Unread)
        counts.append(Counting(made.reader))
        return cast(np.ndarray, Unread.of(counts[-1]))

    examining = import_module("onnxunlearn.examine")  # the package has the function under that name
    monkeypatch.setattr(examining, "UNHELD", Readers(readers.arrays, counted))
    # what is read does not hang on the model, and of a small one attackers take a twentieth of the time;
    # others that fine-tune read as `fine-tune` does
    attacks = named or [name for name in attack if not name.startswith("fine-tune-")]
    edited = unlearn(MLP, 3, probes(), method="lra-npp").model_bytes
    found = examine(MLP, edited, 3, folder, preprocess=preprocess, batch_size=16, attacks=attacks)
    assert found.samples == 600
    [count] = counts
    assert count.total > 3 * 600  # again and again
    # of 20: the one that was, and the one that comes; fine-tuning takes 50 at once, changed inputs are 64
    assert count.most <= 64
    assert count.now == 0


def test_layers_recorded_in_groups_say_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "a.npz", x=X[:200], y=Y[:200])
    held = examine(CNN, EDITED, 3, tmp_path / "a.npz", attacks=["layer-probes"])
    patched(monkeypatch, held=10_000)
    probing = import_module("onnxunlearn.judge.attacks.layer_probes")
    monkeypatch.setattr(probing, "_RECORDED", 200 * 40)
    calls: list[int] = []
    record = subject.Subject.activations

    def noted(one: subject.Subject, given: Probes, layers: Sequence[str]) -> dict[str, np.ndarray]:
        calls.append(len(layers))
        return record(one, given, layers)

    monkeypatch.setattr(subject.Subject, "activations", noted)
    found = examine(CNN, EDITED, 3, tmp_path / "a.npz", attacks=["layer-probes"])
    assert found.to_json() == held.to_json()
    assert len(calls) > 2  # one for each model would be all of them at once
    assert sum(calls) == 2 * sum(row.name.startswith("layer ") for row in held.rows)


def test_other_outputs_on_as_many_samples_as_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = [onnx.load(CNN), onnx.load_from_string(EDITED)]
    inner = models[0].graph.node[0].output[0]
    for model in models:
        model.graph.output.append(onnx.helper.make_tensor_value_info(inner, onnx.TensorProto.FLOAT, None))
    whole, edited = (model.SerializeToString() for model in models)
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    patched(monkeypatch, held=10_000)
    session = onnxruntime.InferenceSession(whole)
    monkeypatch.setattr(evidence, "KEPT", 90 * session.run([inner], {"x": X[:1]})[0].size)
    found = examine(whole, edited, 3, tmp_path / "a.npz", by_layer=False)
    row = found.row(f"drift of output {inner}")
    assert row is not None
    assert row.note == "other outputs: on 90 of 600 samples, drawn with seed 0"
    assert 90 - 30 < (row.values["edited"].samples or 0) < 90  # those to retain
    assert found.samples == 600


@pytest.mark.parametrize("held", [20_000, 40_000])  # with less, y is not held either
def test_of_many_tags_some_samples_judge(tmp_path: Path, held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels = tags()
    np.savez(tmp_path / "a.npz", x=x, y=labels.astype(int))
    patched(monkeypatch, held=held)
    monkeypatch.setattr(import_module("onnxunlearn.inquiry.sampling"), "KEPT", 5 * 120)
    found = examine(tagger(), tagger(), 2, tmp_path / "a.npz", by_layer=False)
    assert found.samples == 120
    assert found.accuracies["original"].samples == (60, 60)
    assert found.notes == ("120 of 400 samples judge, drawn with seed 0: each has several decisions",)


def test_models_are_asked_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "a.npy", X)
    patched(monkeypatch)
    given: object = readers.arrays(tmp_path / "a.npy")
    assert isinstance(given, Unread)
    count = Counting(given.reader)
    stream = Probes({"x": cast(np.ndarray, Unread.of(count))}, Y, "stream")
    engine = create_engine()
    models = [load(CNN), load(EDITED)]
    together, alone = ([subject.Subject(m, find_logits(m), engine, 32) for m in models] for _ in "ab")
    subject.ask_together(dict(zip(("original", "edited"), together, strict=True)), stream)
    assert count.total == 600
    for one, other, whole in zip(together, alone, models, strict=True):
        held = running.scores(whole, one.logits, engine, {"x": X}, 32)
        np.testing.assert_array_equal(one.scores(stream), held)
        assert count.total == 600
        np.testing.assert_array_equal(other.scores(stream), held)
        count.total = 600  # the other has read it for itself


def test_an_archive_is_a_stream_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=X, y=Y)
    np.save(tmp_path / "b.npy", X)
    expected = [audit(tmp_path / name, None).to_json() for name in ("a.npz", "b.npy")]
    patched(monkeypatch, held=10_000)
    read: list[str] = []
    through = readers.Stored.read

    def noted(stored: readers.Stored, which: np.ndarray) -> np.ndarray:
        read.append(stored.path.name)
        return through(stored, which)

    monkeypatch.setattr(readers.Stored, "read", noted)
    assert [audit(tmp_path / name, None).to_json() for name in ("a.npz", "b.npy")] == expected
    assert set(read) == {"a.npz", "b.npy"}


def test_copies_are_found_alike(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    near = (X[:40] + 0.03 * X.std() * rng.normal(size=X[:40].shape)).astype(np.float32)
    every = np.concatenate([X[:300], near, X[100:120]])
    expected = copy_groups(Probes({"x": every}, None, "held"))
    assert len(np.unique(expected)) == 300
    np.save(tmp_path / "a.npy", every)
    patched(monkeypatch)
    given: object = readers.arrays(tmp_path / "a.npy")
    assert isinstance(given, Unread)
    stream = Probes({"x": cast(np.ndarray, given)}, None, "stream")
    np.testing.assert_array_equal(copy_groups(stream), expected)


def test_a_sample_that_is_no_number_is_named_by_its_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = X.copy()
    broken[437, 0, 3, 4] = np.nan
    np.savez(tmp_path / "a.npz", x=broken, y=Y)
    patched(monkeypatch, held=10_000)
    with pytest.raises(InputError, match=r"a\.npz: input 'x' holds nan in sample 437"):
        audit(tmp_path / "a.npz", None)


def test_where_nobody_asks_for_a_stream_samples_are_held(
    folder: Path, preprocess: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patched(monkeypatch)
    found = loading.load_probes(folder, load(CNN), 10, preprocess=preprocess)
    assert type(found.feeds["x"]) is np.ndarray
