"""Workbenches on the sample models."""

from pathlib import Path

import numpy as np

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import Model, find_logits, load
from onnxunlearn.methods import Workbench
from onnxunlearn.probes import Probes
from onnxunlearn.relevance import parse_composite

from ..sample_paths import MLP, probes


def bench(
    model: Path | Model = MLP, forget: tuple[int, ...] = (3,), *, only: list[int] | None = None
) -> Workbench:
    """A workbench with MNIST probes of all classes, or of the classes in `only`."""
    arrays = probes()
    samples = np.isin(arrays["y"], range(10) if only is None else only)
    model = load(model)
    return Workbench(
        model,
        find_logits(model),
        create_engine(),
        Probes({"x": arrays["x"][samples]}, arrays["y"][samples], "mnist"),
        forget,
        parse_composite("lra_npp"),
        budget=0.5,
        batch_size=32,
        seed=0,
    )
