"""Samples of an identity become strangers, and others stay where they are."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from onnxunlearn.embedders import Embedder
from onnxunlearn.errors import InputError
from onnxunlearn.graph import load
from onnxunlearn.inquiry import Options
from onnxunlearn.methods import Workbench, run_method
from onnxunlearn.methods.scatter import Scattering, scattered, strangers
from onnxunlearn.numerics import unit_rows
from onnxunlearn.relevance import parse_composite

from ..tiny_embedder import asked, embedder


def bench() -> Workbench:
    shared = asked(0)
    found = Embedder.of(load(embedder()), shared, Options())
    assert found is not None
    return found.bench(found.read(shared, None)[0], parse_composite("epsilon"))


def test_it_scatters_one_identity_and_leaves_the_others() -> None:
    one = bench()
    edits = scattered(one, ~one.forgotten, steps=150).edits
    before, after = unit_rows(one.before), unit_rows(one.scores(edits))
    own = one.forgotten
    pairs = np.triu_indices(int(own.sum()), 1)
    limit = np.quantile(strangers(before[~own], one.y[~own], 0), 0.99)
    assert ((before[own] @ before[own].T)[pairs] > limit).mean() > 0.9
    assert ((after[own] @ after[own].T)[pairs] > limit).mean() < 0.05
    assert (before[~own] * after[~own]).sum(axis=1).mean() > 0.97


@pytest.mark.parametrize("identities", [1, 2])
def test_the_gradient_is_that_of_the_loss(identities: int) -> None:
    one = bench()
    who = np.arange(12) % identities
    problem = Scattering.of(one, list(one.editable), ~one.forgotten, 1.0, 24)
    rng = np.random.default_rng(0)
    e, others, before = (unit_rows(rng.normal(size=(12, 16))) for _ in range(3))
    _, gradient = problem._near(e, others, before, who)
    step = 1e-6 * rng.normal(size=e.shape)
    up, down = (problem._near(e + s, others, before, who)[0] for s in (step, -step))
    change = (up - down) / 2
    assert change == pytest.approx(float((gradient * step).sum()), rel=1e-3)


@pytest.mark.parametrize("name", ["erase", "mask"])
def test_methods_about_anything_else_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="knows no embeddings"):
        run_method(name, bench(), {})


def test_scatter_is_for_embeddings_alone() -> None:
    with pytest.raises(InputError, match="is for embeddings"):
        run_method("scatter", replace(bench(), posed="auto"), {})


def test_auto_goes_on_to_weaker_ones_where_others_lose_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxunlearn.methods.auto_identity.scattered", partial(scattered, steps=3))
    details = run_method("auto", replace(bench(), budget=-100.0), {}).details
    assert details["chosen"] == "project"
    assert details["why"].count("would cost") == 3
    assert run_method("auto", replace(bench(), budget=100.0), {}).details["chosen"] == "scatter"
