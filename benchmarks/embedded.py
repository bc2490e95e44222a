"""Embeddings that forget an identity, or two in one request, beside one that never saw them.

    (cd benchmarks && python -m trained.identities)   # once: the models
    python benchmarks/tasks.py --only identity-5

36 images of the identity and of each of 32 others go to the method, of which `unlearn` keeps a third to judge
by; figures are of 300 and 100 each others. `mask` is the original whose last layer does not read in which
direction the identity differs on average. `unseen` is what the original says of identities that it was never
trained on, each in turn as if it were the one to forget.
"""

import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from task_rows import COLUMNS, head, line, measured, targets

from onnxunlearn import SharedBy, examine, unlearn
from onnxunlearn.embedders import Embedder
from onnxunlearn.graph import load
from onnxunlearn.inquiry import Options
from onnxunlearn.judge.pairs import Faces, Verifier

ROOT = Path(__file__).parents[1]
DATA = ROOT / ".data"
MODELS = {"identity-5": (5,), "identity-17": (17,), "identity-5-17": (5, 17)}
METHODS = ("auto", "leace")
#: row of the findings -> heading
FIGURES = {
    "identity verified": "its pairs accepted",
    "identity nearer": "nearer than strangers",
    "identity taken": "taken for others",
    "identity enrolled before": "accepted by old templates",
    "identity others": "others' pairs accepted",
    "identity enrolled prototype": "enrolled by a mean",
    "identity enrolled classifier": "by a classifier",
    "identity enrolled features": "by the features before",
}


@cache
def _images(part: str) -> tuple[np.ndarray, np.ndarray]:
    from trained import identities  # needs torch

    return identities.images(DATA, part)


def asked(part: str, forget: tuple[int, ...]) -> SharedBy:
    """Their images, and those of others that were trained on."""
    from trained import identities

    x, y = _images(part)
    others = ~np.isin(y, (*forget, *identities.UNSEEN))
    return SharedBy([{"x": x[y == who]} for who in forget], {"x": x[others], "y": y[others]})


def unseen(forget: tuple[int, ...]) -> float:
    """Percent of the pairs of identities in no training that the original accepts, the mean over these."""
    from trained import identities

    model, shared = load(DATA / "identities" / "identities.onnx"), asked("test", forget)
    embedder = Embedder.of(model, shared, Options())
    assert embedder is not None
    x, y = _images("test")
    rates = []
    for who in identities.UNSEEN:
        some = SharedBy({"x": x[y == who]}, shared.like)
        probes, _, _ = embedder.read(some, None)
        assert probes.y is not None
        assert probes.shared is not None
        found = Verifier(Faces(probes.y, probes.shared), embedder.original.embedded(probes))
        rates.append(found.own.value or 0.0)
    return round(float(np.mean(rates)), 2)


def measure(name: str, method: str) -> dict[str, Any]:
    """Of one method on one identity: figures by column, targets by verdict, time."""
    forget, folder = MODELS[name], DATA / "identities"
    model, start = folder / "identities.onnx", time.process_time()
    result = unlearn(model, asked("probes", forget), method=method)
    seconds = time.process_time() - start
    reference = folder / f"identities.without{'.'.join(map(str, forget))}.onnx"
    found = examine(model, result.edited.model(), asked("test", forget), reference=reference)
    chosen = result.report["method"]["details"].get("chosen", method)
    figures = [*FIGURES, *(f"{row} {k + 1}" for row in FIGURES for k in range(len(forget)))]
    return {**measured(found, figures, seconds), "chosen": chosen, "unseen": unseen(forget)}


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Markdown: a line a model and column, then one a target."""
    lines = head(FIGURES)
    for name in MODELS:
        own = {key.partition(" ")[2]: row for key, row in rows.items() if key.partition(" ")[0] == name}
        first = next(iter(own.values()), None)
        if first is None:
            continue
        for column in ("original", "mask"):
            lines += line(f"{name}: {column}", first, column, FIGURES)
        for method, row in own.items():
            lines += line(f"{name}: {method}", row, COLUMNS[2], FIGURES)
        lines += line(f"{name}: reference", first, "reference", FIGURES)
        for k, who in enumerate(MODELS[name] if len(MODELS[name]) > 1 else ()):
            for column in ("original", "mask", "edited", "reference"):
                title = f"{name}, of these {who}: {column}"
                lines += line(title, first, column, [f"{row} {k + 1}" for row in FIGURES])
        lines.append(f"| {name}: unseen | {first['unseen']:.1f} |{' |' * (len(FIGURES) - 1)}")
    own = {key: row for key, row in rows.items() if key.partition(" ")[0] in MODELS}
    return "\n".join(lines + targets(own))
