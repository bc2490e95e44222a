from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import find_logits, load
from onnxunlearn.judge import Subject
from onnxunlearn.judge.running import Said, run
from onnxunlearn.probes import Probes

from ..sample_paths import MLP, probes


def test_the_same_samples_are_run_once_also_when_they_get_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[Any] = []

    def counted(*args: Any) -> Said:
        runs.append(args)
        return run(*args)

    monkeypatch.setattr("onnxunlearn.judge.subject.run", counted)
    model = load(MLP)
    subject = Subject(model, find_logits(model), create_engine(), 32)
    samples = Probes({"x": probes(4)["x"]}, None, "four")
    before = subject.scores(samples)
    assert subject.scores(replace(samples, y=subject.predicted(samples))) is before
    assert len(runs) == 1
    fewer = samples.select([0, 2])
    np.testing.assert_array_equal(subject.scores(fewer), before[[0, 2]])
    assert len(runs) == 2
