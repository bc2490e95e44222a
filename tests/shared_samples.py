"""Digits with a trigger and without, and the classifiers that know it; as tests use them."""

from pathlib import Path

import numpy as np
from trained.marks import MARKS

from onnxunlearn.probes import Probes, SharedBy

from .sample_paths import images

MODELS = Path(__file__).parent / "reference" / "shared"
TRIGGER = MODELS / "trigger.onnx"


def marked(mark: str, per_class: int, part: str = "probes") -> SharedBy:
    """Pairs: the first digits of each class with the mark, without a class, and as they are, with it."""
    x, y = images(f"mnist_{part}")
    chosen = np.concatenate([np.flatnonzero(y == c)[:per_class] for c in range(10)])
    return SharedBy({"x": MARKS[mark](x[chosen])}, {"x": x[chosen], "y": y[chosen]}, paired=True)


def made(y: list[int], shared: list[int], pair: list[int] | None = None) -> Probes:
    """Samples whose inputs are their numbers."""
    feeds = {"x": np.arange(len(y), dtype=np.float32)[:, None]}
    pairs = np.full(len(y), -1) if pair is None else np.array(pair)
    return Probes(feeds, np.array(y), "made", shared=np.array(shared, bool), pair=pairs)
