import numpy as np
import pytest

from onnxunlearn import unlearn
from onnxunlearn.choices import LAST_BLOCK
from onnxunlearn.methods import auto_samples
from onnxunlearn.methods.auto_samples import Left

from ..shared_samples import TRIGGER, marked


def test_what_leaves_least_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """With few steps erase leaves something, leace on top of it less."""
    monkeypatch.setattr("onnxunlearn.methods.erase.erase._STEPS", {LAST_BLOCK: 5})
    monkeypatch.setattr("onnxunlearn.methods.erase.scope._FEWEST", 5)
    found = unlearn(TRIGGER, marked("trigger", 9), max_retain_drop=100)
    details = found.report["method"]["details"]
    left = {name: Left(**shares) for name, shares in details["left"].items()}
    assert details["chosen"] == min(left, key=lambda name: left[name])
    assert set(left) == {"erase", "erase, then leace", "leace"}


def test_what_costs_too_much_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto_samples, "costly", lambda *_: True)
    monkeypatch.setattr("onnxunlearn.methods.erase.erase._STEPS", {LAST_BLOCK: 3})
    monkeypatch.setattr("onnxunlearn.methods.erase.scope._FEWEST", 3)
    details = unlearn(TRIGGER, marked("trigger", 6)).report["method"]["details"]
    assert details["chosen"] == "project"
    assert "erase costs too much; erase, then leace costs too much; leace costs too much" in details["why"]


def test_a_probe_tells_what_is_there() -> None:
    rng = np.random.default_rng(0)
    z, fits = np.arange(400) % 2 == 0, np.arange(400) < 200
    noise = rng.normal(size=(400, 5))
    assert auto_samples._told(noise + 4 * z[:, None], z, fits) > 0.95
    assert abs(auto_samples._told(noise, z, fits) - 0.5) < 0.1
