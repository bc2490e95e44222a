"""The folds: together they are a run, and what they give stays as it is."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxunlearn import InputError, api, inspect, load, unlearn
from onnxunlearn.frozen import frozen
from onnxunlearn.probes import load_probes, split

from .sample_paths import CNN, MLP, MNIST_PROBES, images

METHOD: dict[str, Any] = {"method": "lra-npp", "parameters": {"k": 4, "m": 16}}


@pytest.fixture(scope="module")
def choosing() -> Any:
    """Those that choose in a run."""
    return split(load_probes(MNIST_PROBES, load(MLP), 10), 0)[0]


@pytest.fixture(scope="module")
def plan(choosing: Any) -> api.Plan:
    return api.fit(MLP, 3, choosing, **METHOD)


def test_a_run_is_these_folds(plan: api.Plan, tmp_path: Path) -> None:
    run = unlearn(MLP, 3, MNIST_PROBES, **METHOD)
    edited = api.apply(api.Plan.from_bytes(plan.to_bytes()), MLP)
    assert edited.data == run.model_bytes
    assert [path.read_bytes() for path in edited.save(tmp_path / "out.onnx")] == [run.model_bytes]
    x, y = images("mnist_test")
    findings = api.judge(MLP, edited.model(), "3", {"x": x[:300], "y": y[:300]}, by_layer=False)
    assert findings.samples == 300
    assert findings.value("forget") is not None
    page = api.render(findings)
    assert page.lower().startswith(b"<!doctype html>")
    assert b"300" in page
    assert {name: plan.about[name] for name in ("forget", "names", "options", "engine")} == {
        "forget": [3],
        "names": ["class 3"],
        "options": run.report["options"],
        "engine": run.report["engine"],
    }


def test_one_probe_of_a_class_is_enough_where_nothing_is_held_back() -> None:
    x, y = images("mnist_probes")
    of_class = np.flatnonzero(y == 3)
    few = np.concatenate([of_class[:1], np.flatnonzero(y != 3)[:20]])
    assert api.fit(CNN, 3, {"x": x[few], "y": y[few]}, method="mask").changes
    with pytest.raises(InputError, match="1 probes of class 3; at least 2 are needed"):
        unlearn(CNN, 3, {"x": x[few], "y": y[few]}, method="mask")
    with pytest.raises(InputError, match="0 probes of class 3; at least 1 is needed"):
        api.fit(CNN, 3, {"x": x[few[1:]], "y": y[few[1:]]}, method="mask")


def test_a_plan_is_for_its_model_only(plan: api.Plan) -> None:
    with pytest.raises(InputError, match="give the original that it was made from"):
        api.apply(plan, CNN)


def test_what_is_no_plan_or_no_findings_is_one_line(plan: api.Plan) -> None:
    with pytest.raises(InputError, match=r"plan=b'PK.*; expected a Plan; `Plan.from_bytes` reads one"):
        api.apply(plan.to_bytes(), MLP)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="findings=None; expected what `judge` gives"):
        api.render(None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="model=5; expected a path, bytes or a loaded model"):
        api.fit(5, 3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="attacks='head-refit'; expected a list of texts"):
        api.judge(MLP, MLP, 3, MNIST_PROBES, attacks="head-refit")


def test_results_cannot_be_changed(plan: api.Plan) -> None:
    run = unlearn(MLP, 3, MNIST_PROBES, method="mask")
    described = inspect(MLP)
    held = [
        *(getattr(plan, name) for name in ("data", "about")),
        *(getattr(change, name) for change in plan.changes for name in ("places", "values")),
        *(getattr(run.findings, name) for name in ("accuracies", "about")),
        *(row.values for row in run.findings.rows),
        *(run.inputs, run.edited.outside, described.inputs, described.covered, described.opsets),
    ]
    for value in held:
        with pytest.raises((TypeError, ValueError), match=r"cannot be changed|read-only"):
            value[next(iter(value), 0) if isinstance(value, dict) else 0] = 0
    for value in (plan, run, run.findings, run.findings.rows[0], run.edited, described):
        with pytest.raises(AttributeError):
            setattr(value, next(iter(vars(value))), {})
    for change in plan.changes:
        for array in (change.values, change.places):
            below: Any = array
            while isinstance(below, np.ndarray):
                with pytest.raises(ValueError, match="WRITEABLE"):
                    below.flags.writeable = True
                below = below.base
            assert isinstance(below, bytes)
    run.report["warnings"].append("theirs")
    assert run.report["warnings"] == run.findings.to_json()["warnings"] == []
    assert frozen(run.findings.about) == run.findings.about
