"""Identities as streams: some choose, as many judge as have room, and little is held."""

from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from onnxunlearn import SharedBy, examine, unlearn
from onnxunlearn.embedders.sampling import of_each
from onnxunlearn.streams import readers

from ..shared_samples import made
from ..tiny_embedder import INPUTS, WIDTH, asked, embedder

sampling = import_module("onnxunlearn.embedders.sampling")


def stored(folder: Path, shared: SharedBy) -> SharedBy:
    for name, arrays in (("with", shared.samples), ("without", shared.like)):
        np.savez(folder / f"{name}.npz", **cast(dict[str, Any], arrays))
    return SharedBy(folder / "with.npz", folder / "without.npz")


def test_where_there_is_room_nothing_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = stored(tmp_path, asked(0))
    held = unlearn(embedder(), shared, method="project")
    monkeypatch.setattr(readers, "HELD", 0)
    streamed = unlearn(embedder(), shared, method="project")
    assert streamed.model_bytes == held.model_bytes
    assert streamed.report["rows"] == held.report["rows"]
    assert "128 of 192 samples choose and 64 judge, drawn with seed 0" in streamed.findings.notes
    edited = held.edited.model()
    found = examine(embedder(), edited, shared).to_json()
    monkeypatch.setattr(readers, "HELD", 2**28)
    assert examine(embedder(), edited, shared).to_json() == found


def test_of_more_some_choose_and_some_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = stored(tmp_path, asked(0, 60))
    monkeypatch.setattr(readers, "HELD", 0)
    monkeypatch.setattr(import_module("onnxunlearn.inquiry.sampling"), "HELD", 100 * INPUTS * 4)
    monkeypatch.setattr(sampling, "KEPT", 80 * WIDTH)
    result = unlearn(embedder(), shared, method="project")
    probes = result.report["probes"]
    assert probes["choosing"] <= 100
    assert probes["judging"] <= 80
    samples = (result.findings.shared or {})["samples"]
    assert samples["with"] == 20  # a third of 60
    assert samples["without"] == 36  # 40 places are room for 6 others
    audit = examine(embedder(), result.edited.model(), shared)
    assert any("of 480 samples judge, drawn with seed 0" in note for note in audit.notes)


def test_a_few_of_many_identities_are_drawn_whole() -> None:
    who = [*np.repeat(np.arange(1000), 10), *[-1] * 500, *[-2] * 20]
    probes = made(who, [0] * 10_000 + [1] * 520)
    found = np.array(who)[of_each(probes, 240, seed=0)]
    assert {int(w): int((found == w).sum()) for w in (-1, -2)} == {-1: 60, -2: 20}
    counts = np.unique(found[found >= 0], return_counts=True)[1]
    assert (len(counts), set(counts.tolist())) == (20, {6})
