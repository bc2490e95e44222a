"""Runs on streams: some samples choose, all others judge, and no more than the first are held."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from onnxunlearn import Result, api, unlearn
from onnxunlearn.probes import Readers, Unread
from onnxunlearn.streams import readers

from ..sample_paths import CNN, MLP, images
from ..test_multi_label import data as tags
from ..test_multi_label import tagger
from .counting import Counting
from .test_audit import SAMPLE, patched

X, Y = (array[:600] for array in images("mnist_test"))
CHOOSING = 60

Counted = Callable[..., tuple[Result, Counting]]


@pytest.fixture
def streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counted:
    """A run on the images and three copies, of which CHOOSING fit into memory; and what was held of them."""
    patched(monkeypatch, held=10_000)
    monkeypatch.setattr(import_module("onnxunlearn.inquiry.sampling"), "HELD", CHOOSING * SAMPLE)
    counts: list[Counting] = []

    def counted(path: Path) -> Any:
        found = cast(dict[str, Any], readers.arrays(path))
        counts.append(Counting(found["x"].reader))
        return {**found, "x": Unread.of(counts[-1])}

    fitting = import_module("onnxunlearn.fitting")
    monkeypatch.setattr(fitting, "UNHELD", Readers(counted, readers.images))

    def run(
        x: np.ndarray = X, y: np.ndarray = Y, model: Path = CNN, **options: Any
    ) -> tuple[Result, Counting]:
        np.savez(tmp_path / "a.npz", x=np.concatenate([x, x[:3]]), y=np.concatenate([y, y[:3]]))
        result = unlearn(model, 3, tmp_path / "a.npz", method="lra-npp", batch_size=16, **options)
        return result, counts[-1]

    return run


def test_some_choose_all_others_judge_and_only_the_first_are_held(streamed: Counted) -> None:
    result, count = streamed()
    probes = result.report["probes"]
    assert (probes["choosing"], probes["judging"], result.findings.copies) == (CHOOSING, 600 - CHOOSING, 3)
    assert result.findings.notes[0] == "60 of 603 samples choose, drawn with seed 0"
    of_class = int((Y == 3).sum())
    assert of_class * 2 // 3 > CHOOSING // 2  # so that half of those that choose are of the class
    forget, retain = result.findings.accuracies["edited"].samples
    assert (forget, retain) == (of_class - CHOOSING // 2, 600 - of_class - CHOOSING // 2)
    assert result.findings.accuracies["edited"].forget == pytest.approx(0, abs=1)
    assert count.most <= CHOOSING + 2 * 20
    assert count.total > 3 * 600


def test_it_is_the_same_again_and_another_by_another_seed(streamed: Counted) -> None:
    one, again, other = (streamed(seed=seed)[0] for seed in (0, 0, 1))
    assert one.model_bytes == again.model_bytes
    assert one.report["figures"] == again.report["figures"]
    assert one.report["figures"] != other.report["figures"]


def test_of_the_class_alone_all_that_are_held_are_of_it(streamed: Counted) -> None:
    own = np.concatenate([X[Y == 3]] * 4)
    own = (own + np.random.default_rng(0).normal(0, 0.5, own.shape)).astype(np.float32)
    result, _ = streamed(own, np.full(len(own), 3), model=MLP)  # all others are made by its gradients
    made = result.report["probes"]["made"]
    assert result.report["probes"]["choosing"] - made["choosing"] == CHOOSING
    assert made["judging"] == 0


def test_all_choose_where_nothing_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "a.npz", x=X, y=Y)
    patched(monkeypatch, held=10_000)
    monkeypatch.setattr(import_module("onnxunlearn.inquiry.sampling"), "HELD", 100 * SAMPLE)
    about = api.fit(CNN, 3, tmp_path / "a.npz", method="mask").about
    assert (about["probes"]["choosing"], about["probes"]["judging"]) == (100, 0)


def test_tags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels = tags()
    np.savez(tmp_path / "a.npz", x=x, y=labels.astype(int))
    patched(monkeypatch, held=40_000)
    sampling = import_module("onnxunlearn.inquiry.sampling")
    monkeypatch.setattr(sampling, "KEPT", 5 * 200)
    monkeypatch.setattr(sampling, "HELD", 80 * x[0].nbytes)
    result = unlearn(tagger(), 2, tmp_path / "a.npz", method="mask")
    assert result.findings.notes[:2] == (
        "200 of 400 samples judge, drawn with seed 0: each has several decisions",
        "80 of 200 samples choose, drawn with seed 0",
    )
    assert result.findings.samples == 120
