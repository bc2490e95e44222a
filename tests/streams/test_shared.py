"""Samples that show what is to be forgotten, as streams: nothing differs from what is held, and little is
held."""

from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from onnxunlearn import Result, SharedBy, api, examine, unlearn
from onnxunlearn.inquiry.sampling import of_each_kind
from onnxunlearn.probes import Readers, Unread, chained, is_unread
from onnxunlearn.probes.probes import OTHER
from onnxunlearn.streams import readers

from ..sample_paths import images
from ..shared_samples import TRIGGER, made, marked
from ..test_shared_labels import pairs as tagged
from ..test_shared_labels import poisoned
from .counting import Counting
from .test_audit import SAMPLE, patched

sampling = import_module("onnxunlearn.inquiry.sampling")


def stored(folder: Path, asked: SharedBy) -> SharedBy:
    """The same in files."""
    parts = {"with": asked.samples, "without": asked.like}
    for name, arrays in parts.items():
        np.savez(folder / f"{name}.npz", **cast(dict[str, Any], arrays))
    return SharedBy(folder / "with.npz", folder / "without.npz", paired=asked.paired)


def test_a_run_on_streams_is_the_run_on_what_they_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = stored(tmp_path, marked("trigger", 8))
    held = unlearn(TRIGGER, asked, method="leace")
    patched(monkeypatch)
    streamed = unlearn(TRIGGER, asked, method="leace")
    assert streamed.model_bytes == held.model_bytes
    assert streamed.report["figures"] == held.report["figures"]
    assert streamed.findings.notes == (*held.findings.notes, "120 of 160 samples choose, drawn with seed 0")


def test_an_audit_of_streams_is_that_of_what_they_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = stored(tmp_path, marked("trigger", 12, "test"))
    edited = unlearn(TRIGGER, marked("trigger", 6), method="leace").edited.model()
    relearning = import_module("onnxunlearn.judge.attacks.concept_relearn")
    monkeypatch.setattr(relearning, "STEPS", (1, 2, 5))  # one step reads as the next does
    attacks = ["concept-probe", "concept-relearn"]
    expected = examine(TRIGGER, edited, asked, attacks=attacks).to_json()
    patched(monkeypatch)
    assert examine(TRIGGER, edited, asked, attacks=attacks).to_json() == expected


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[Counting]:
    """What is held of each array that is read."""
    counts: list[Counting] = []

    def counted(path: Path) -> Any:
        found = cast(dict[str, Any], readers.arrays(path))
        counts.append(Counting(found["x"].reader))
        return {**found, "x": Unread.of(counts[-1])}

    unheld = Readers(counted, readers.images)
    monkeypatch.setattr(import_module("onnxunlearn.inquiry.shared"), "UNHELD", unheld)
    return counts


def test_of_long_streams_some_choose_and_all_others_judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = stored(tmp_path, marked("trigger", 40, "test"))
    patched(monkeypatch, held=10_000)
    monkeypatch.setattr(sampling, "HELD", 60 * SAMPLE)
    counts = _counted(monkeypatch)
    result: Result = unlearn(TRIGGER, asked, method="leace", batch_size=16)
    probes = result.report["probes"]
    assert (probes["choosing"], probes["judging"]) == (60, 740)
    assert result.findings.notes[0] == "60 of 800 samples choose, drawn with seed 0"
    assert (result.findings.shared or {})["samples"] == {"with": 370, "without": 370}
    assert (result.findings.value("concept success", "original") or 0) > 99
    assert max(count.most for count in counts) <= 400  # of 400, in figures that ask some pairs at once
    assert sum(count.total for count in counts) > 3 * 800


def test_little_is_held_where_nothing_is_paired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = stored(tmp_path, marked("trigger", 40, "test"))
    patched(monkeypatch, held=10_000)
    monkeypatch.setattr(sampling, "HELD", 60 * SAMPLE)
    counts = _counted(monkeypatch)
    result = unlearn(TRIGGER, SharedBy(asked.samples, asked.like), method="leace", batch_size=16)
    assert result.report["probes"]["judging"] == 740
    assert sum(count.most for count in counts) <= 60 + 4 * 20


def test_all_that_is_held_chooses_where_nothing_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = stored(tmp_path, marked("trigger", 12))
    patched(monkeypatch, held=10_000)
    monkeypatch.setattr(sampling, "HELD", 100 * SAMPLE)
    about = api.fit(TRIGGER, asked, method="leace").about
    assert (about["probes"]["choosing"], about["probes"]["judging"]) == (100, 0)


def test_others_beside_samples_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = stored(tmp_path, marked("trigger", 12))
    x, y = images("mnist_test")
    np.savez(tmp_path / "others.npz", x=x[:300], y=y[:300])
    patched(monkeypatch, held=10_000)
    monkeypatch.setattr(sampling, "HELD", 100 * SAMPLE)
    result = unlearn(TRIGGER, SharedBy(asked.samples), tmp_path / "others.npz", method="leace")
    assert result.report["probes"]["choosing"] == 100
    assert (result.findings.shared or {})["samples"] == {"with": 70, "without": 250}


def test_where_each_output_decides_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = stored(tmp_path, tagged(slice(240)))
    patched(monkeypatch)
    monkeypatch.setattr(sampling, "KEPT", 5 * 200)
    result = unlearn(poisoned(), asked, method="leace")
    assert "200 of 480 samples judge, drawn with seed 0: each has several decisions" in result.findings.notes
    shared = (result.findings.shared or {})["samples"]
    assert shared["with"] == shared["without"]
    assert (result.findings.value("concept success", "original") or 0) > 80


def test_partners_are_drawn_together_and_kinds_alike() -> None:
    pair = [*range(50), *[OTHER] * 200, *range(50)]
    probes = made([0] * 300, [0] * 250 + [1] * 50, pair)
    every = np.ones(300, bool)
    found = of_each_kind(probes, every, 60, seed=0)
    assert len(found) == 60
    assert set(found[found < 50] + 250) == set(found[found >= 250])
    assert (found < 50).sum() == 20
    few = of_each_kind(made([0] * 300, [0] * 290 + [1] * 10), every, 100, seed=0)
    assert (len(few), (few >= 290).sum()) == (100, 10)
    alone = of_each_kind(made([0] * 120, [0] * 110 + [1] * 10, [*range(110), *range(10)]), every[:120], 60, 0)
    assert (len(alone), (alone >= 110).sum()) == (60, 10)


def test_arrays_one_behind_the_other_are_read_as_one() -> None:
    whole = np.arange(40, dtype=np.float32).reshape(20, 2)

    class Reader:
        shape, dtype = (12, 2), whole.dtype

        def read(self, which: np.ndarray) -> np.ndarray:
            return whole[8:][which]

    unread = cast(np.ndarray, Unread.of(Reader()))
    found = chained([whole[:5], whole[5:8], unread])
    assert is_unread({"": found})
    assert (found[:] == whole).all()
    assert (found[np.array([19, 3, 8, 3])][:] == whole[[19, 3, 8, 3]]).all()
    assert not is_unread({"": chained([whole[:5], whole[5:]])})
