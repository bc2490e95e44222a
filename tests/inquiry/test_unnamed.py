"""Inputs to retain that nobody named: which choose, which judge, and what agreement on them says."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from onnxunlearn import InputError, examine, load, unlearn
from onnxunlearn.inquiry import Inquiry, Options
from onnxunlearn.inquiry.unnamed import Unnamed, read_unnamed
from onnxunlearn.judge.intervals import Measured
from onnxunlearn.judge.row import Row
from onnxunlearn.judge.run_report import read_run_report
from onnxunlearn.judge.targets import of_unnamed
from onnxunlearn.methods.auto import auto
from onnxunlearn.methods.erase.erase import Erasure
from onnxunlearn.probes import Probes, SharedBy, beside, is_unread
from onnxunlearn.replay import replay
from onnxunlearn.streams import readers

from ..cli.command import onnxunlearn
from ..methods.benches import bench
from ..sample_paths import MLP, images, probes

X, Y = images("mnist_test")
reaches = import_module("onnxunlearn.methods.reaches")


def unnamed(retain: Any, *, judge: bool = True, choose: bool = True, **options: Any) -> Unnamed:
    named = probes()
    inquiry = Inquiry.of(MLP, 3, Options(retain=retain, **options))
    found = Unnamed.of(inquiry, named, inquiry.read(named), choose=choose, judge=judge)
    assert found is not None
    return found


def said(x: np.ndarray, model: Path | bytes = MLP) -> np.ndarray:
    scores = Inquiry.of(model, 3, Options()).scores(Probes({"x": x}, None, "x"))
    return np.asarray(scores.argmax(axis=1))


def among(some: Probes, x: np.ndarray) -> list[int]:
    """Where its samples are in x."""
    rows = {row.tobytes(): i for i, row in enumerate(x)}
    return [rows[row.tobytes()] for row in some.feeds["x"][:]]


def test_what_the_class_is_and_copies_are_left_out_and_none_does_both() -> None:
    x = np.concatenate([X[:300], X[:20], probes()["x"][:15]])
    found = unnamed(x)
    chosen, judging = among(found.choosing, X[:300]), among(found.judging, X[:300])
    assert not set(chosen) & set(judging)
    assert set(chosen) | set(judging) == set(np.flatnonzero(said(X[:300]) != 3))
    assert len(judging) == (len(chosen) + len(judging)) // 3
    assert found.left_out == len(x) - len(chosen) - len(judging)
    np.testing.assert_array_equal(found.choosing.y, said(X[chosen]))  # the original says what they are
    assert len(unnamed(x, choose=False).judging) == len(chosen) + len(judging)
    assert len(unnamed(x, judge=False).choosing) == len(chosen) + len(judging)


def test_however_many_are_given_so_many_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxunlearn.inquiry.unnamed._MOST", 40)
    found = unnamed(X[:300])
    assert len(found.choosing) == 40
    assert len(found.judging) > 200
    monkeypatch.setattr("onnxunlearn.inquiry.unnamed.HELD", 2 * 10 * X[0].nbytes)
    assert len(unnamed(X[:300]).choosing) == 10


def test_a_stream_is_what_held_inputs_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "inputs.npy", X[:200])
    held = unnamed(tmp_path / "inputs.npy")
    monkeypatch.setattr(readers, "HELD", 0)
    stream = unnamed(tmp_path / "inputs.npy")
    assert is_unread(stream.judging.feeds)
    np.testing.assert_array_equal(held.judging.feeds["x"], stream.judging.feeds["x"][:])
    np.testing.assert_array_equal(held.choosing.feeds["x"], stream.choosing.feeds["x"])
    np.testing.assert_array_equal(held.choosing.y, stream.choosing.y)
    assert held.described() == stream.described()


def test_in_any_form_and_nobody_looks_at_labels(tmp_path: Path) -> None:
    x = X[:30]
    np.savez(tmp_path / "a.npz", x=x, y=np.full(7, "nonsense"))
    np.save(tmp_path / "a.npy", x)
    script = "import numpy as np\ndef read():\n    yield {'x': np.load(%r), 'y': ['?']}\n"
    (tmp_path / "a.py").write_text(script % str(tmp_path / "a.npy"))
    given = (
        *(tmp_path / "a.npz", tmp_path / "a.npy", f"{tmp_path / 'a.py'}:read"),
        *(x, {"x": x, "y": None}, Probes({"x": x}, np.full(30, 99), "memory")),
    )
    for source in given:
        found = read_unnamed(Options(retain=source), load(MLP), None)
        assert found is not None
        assert not found.labelled
        np.testing.assert_array_equal(found.feeds["x"], x)


def test_images_may_lie_in_any_folders(tmp_path: Path) -> None:
    for i, place in enumerate(("a.png", "what ever/b.png", "what ever/deep/c.png", ".hidden/d.png")):
        path = tmp_path / "images" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((28, 28), 40 * i, np.uint8)).save(path)
    (tmp_path / "images" / "up").symlink_to(tmp_path / "images")
    (tmp_path / "scale.json").write_text('{"size": [28, 28], "scale": 0.00392156862745098}')
    options = Options(retain=tmp_path / "images", preprocess=tmp_path / "scale.json")
    inquiry = Inquiry.of(MLP, 3, options)
    inquiry.read(probes())  # arrays are prepared already, and the file is about images
    found = read_unnamed(options, inquiry.model, probes())
    assert found is not None
    shown = found.feeds["x"].reshape(3, -1)[:, 0] * 255
    np.testing.assert_allclose(shown, [0, 40, 80], atol=1e-3)


def test_agreement_is_what_it_is_called() -> None:
    edited = unlearn(MLP, 3, probes(), method="lra-npp").model_bytes
    found = examine(MLP, edited, 3, probes(), retain=X[:400], by_layer=False)
    left = X[:400][said(X[:400]) != 3]
    after = said(left, edited)
    row = found.row("unnamed")
    assert row is not None
    assert row.values["edited"].value == pytest.approx(100 * float((after == said(left)).mean()))
    assert row.values["edited"].samples == len(left)
    assert row.values["original"].value == 100
    assert set(row.values) == {"original", "edited"}
    assert found.target("agreement on inputs nobody named").limit == 99
    assert found.about["data"]["retain"]["source"] == "array in memory"


def test_it_is_a_target_only_where_some_were_given() -> None:
    found = unlearn(MLP, 3, probes(), method="mask")
    assert found.findings.row("unnamed") is None
    assert not any("nobody named" in target.name for target in found.findings.targets)
    assert "retain" not in found.report["probes"]


def test_an_edit_that_turns_too_many_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaches, "Erasure", partial(Erasure, steps=20))
    x, y = images("mnist_probes")
    made = replace(bench(MLP), probes=Probes({"x": x}, y, "mnist"))
    assert auto(made).details["chosen"] == "erase"
    found = auto(replace(made, turned=-1.0))
    assert found.details["chosen"] != "erase"
    assert "erase would turn" in found.details["why"]


def test_beside_probes_of_the_class_alone_they_stand_for_the_others() -> None:
    x, y = images("mnist_probes")
    found = unlearn(MLP, 3, {"x": x[y == 3], "y": y[y == 3]}, retain=X[:600])
    told = found.report["probes"]
    assert told["made"] == {"choosing": 0, "judging": 0}
    assert (told["choosing"], told["judging"]) == (24, 12)
    assert told["retain"]["choosing"] + told["retain"]["judging"] + told["retain"]["left_out"] == 600
    assert found.report["method"]["details"]["chosen"] == "erase"
    unseen = images("mnist_test")[0][600:]
    after = said(unseen, found.model_bytes)
    others = images("mnist_test")[1][600:] != 3
    assert (after == 3).mean() < 0.01
    assert (after == said(unseen))[others].mean() > 0.97


def test_attackers_have_the_named_ones() -> None:
    """What the original says of whatever is no label that an attacker would take where he has better."""
    plain, more = (unlearn(MLP, 3, probes(20), method="mask", retain=r) for r in (None, X[:100]))
    row, same = plain.findings.row("relearn"), more.findings.row("relearn")
    assert row is not None
    assert same is not None
    assert row.values["mask"] == same.values["mask"]


def test_several_classes_a_sample() -> None:
    first = Probes({"x": X[:2]}, np.array([1, 0]), "a", labels=np.array([[1, 1], [1, 0]], bool))
    joined = beside(first, Probes({"x": X[2:4]}, np.array([0, 1]), "b"))
    np.testing.assert_array_equal(joined.labels, [[1, 1], [1, 0], [1, 0], [0, 1]])
    np.testing.assert_array_equal(joined.y, [1, 0, 0, 1])
    np.testing.assert_array_equal(joined.feeds["x"], X[:4])


def test_answers_that_nobody_knows_count_by_what_the_original_believed() -> None:
    """Beside probes whose classes are known: of these none is half right."""
    named = bench(MLP)
    others = Probes({"x": X[:40]}, said(X[:40]), "b", by_model=True)
    joined = beside(named.probes, others)
    assert joined.y is not None
    assert joined.guessed is not None
    assert joined.guessed.sum() == 40
    np.testing.assert_array_equal(joined.select(joined.guessed).feeds["x"], X[:40])
    made = replace(named, probes=joined)
    assert made.believed is not None
    known = ~joined.guessed
    np.testing.assert_array_equal(made.believed[known].argmax(axis=1), joined.y[known])
    assert set(np.unique(made.believed[known])) == {0.0, 1.0}
    assert not made.believed[joined.guessed, 3].any()
    np.testing.assert_allclose(made.believed.sum(axis=1), 1)
    assert beside(others, others).guessed is None  # `by_model` says it of all


@pytest.mark.parametrize(
    ("retrained", "drop", "limit"), [(None, 0.5, 99.0), (99.5, 0, 99.0), (88.0, 0.5, 88.0), (None, 6, 88.0)]
)
def test_no_more_agreement_is_asked_for_than_a_retrained_model_shows(
    retrained: float | None, drop: float, limit: float
) -> None:
    values = {"edited": Measured(95.0, 94.0, 96.0)}
    values |= {} if retrained is None else {"reference": Measured(retrained)}
    (target,) = of_unnamed({"unnamed": Row("unnamed", "", "percent", values)}, drop)
    assert target.limit == limit
    assert target.status == ("passed" if limit < 90 else "missed")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda _: {"retain": X[:5, :, :14]}, "has shape 5 × 1 × 14 × 28, the model takes"),
        (lambda _: {"retain": X[said(X) == 3][:9]}, "each of its 9 inputs is a copy of a probe, or taken"),
        (lambda _: {"retain": probes()["x"]}, "is a copy of a probe, or taken for what is to be forgotten"),
        (lambda _: {"retain": X[:9], "data": None}, "--retain: needs probes of what is to be forgotten"),
        (lambda _: {"retain": X[:9], "forget": SharedBy(X[:9])}, "--retain: goes with --forget"),
        (lambda path: {"retain": path}, "no images in it or in folders below"),
        (lambda path: {"retain": path / "no.npz"}, "no such file"),
        (lambda _: {"retain": 3}, "probes cannot be a int"),
    ],
)
def test_mistakes_are_a_line(
    given: Callable[[Path], Mapping[str, Any]], message: str, tmp_path: Path
) -> None:
    asked = {"forget": 3, "data": probes(), "method": "mask", **given(tmp_path)}
    with pytest.raises(InputError, match=message) as error:
        unlearn(MLP, **asked)
    assert len(str(error.value).splitlines()) == 1


def test_on_the_command_line_and_replayed(tmp_path: Path) -> None:
    np.savez(tmp_path / "probes.npz", x=probes()["x"], y=probes()["y"])
    np.save(tmp_path / "more.npy", X[:90])
    np.save(tmp_path / "other.npy", X[90:180])
    data = ["--data", str(tmp_path / "probes.npz")]
    more = ["--retain", str(tmp_path / "more.npy")]
    out = tmp_path / "out.onnx"
    found = onnxunlearn("run", MLP, "--forget", "3", *data, *more, "--method", "mask", "-o", out)
    assert found.code in (0, 1), found.err
    assert "that nobody named" in found.out
    assert "agreement on inputs nobody named 100.00 %" in found.out
    over = onnxunlearn("run", MLP, "--forget", "3", *data, *more, "-o", more[1], "--overwrite")
    assert over.code == 2
    report = tmp_path / "out.report.json"
    assert read_run_report(report).probes["retain"]["source"] == "more.npy"
    assert replay(read_run_report(report), load(MLP), tmp_path / "probes.npz", retain=more[1]).same
    for retain, message in (
        (None, "the run had inputs to retain"),
        (tmp_path / "other.npy", "does not hold"),
    ):
        with pytest.raises(InputError, match=message):
            replay(read_run_report(report), load(MLP), tmp_path / "probes.npz", retain=retain)
