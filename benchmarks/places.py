"""Classes said at places, forgotten: a segmenter of scenes, a tagger of texts; beside models that never saw
the class.

    (cd benchmarks && python -m trained.segmenters && python -m trained.taggers)   # once: the models
    python benchmarks/tasks.py [--only unet-3] [--method auto] [--again] [--table]

240 scenes (of texts 300) with masks go to the method, of which `unlearn` keeps a third to judge by; figures
are of 2,000 others, their bounds of whole scenes drawn anew. `mask` is the original whose score of the class
is hidden. Other inputs that nobody names, 500, judge how often models agree with the original at their
places; of `auto retain` 400 more are given to the method. How many places are drawn, and of which kind, was
chosen on unet-3; the others were looked at last.
"""

import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from task_rows import COLUMNS, head, line, measured, targets

from onnxunlearn import examine, unlearn

ROOT = Path(__file__).parents[1]
DATA = ROOT / ".data"
#: name -> model, column of the class, model that never saw it
MODELS = {
    "unet-3": ("unet", 7, "unet.without.3"),
    "unet-sneaker": ("unet", 3, "unet.without.sneaker"),
    "each-3": ("each", 6, "each.without.3"),
    "tagger-dan": ("tagger", 9, "tagger.without.dan"),
}
#: row of the findings -> heading
FIGURES = {
    "places recall": "recall of the class",
    "places score": "IoU / F1 of the class",
    "places mean": "mean of the others",
    "places background": "background kept",
    "places absorbed": "given another class",
    "unnamed": "agreement on others",
    "relearn": "refit from 20 places",
    "full-probe": "linear probe",
    "fine-tune 20": "20 steps of fine-tuning",
    "fine-tune 30": "30 steps",
    "fine-tune 100": "100 steps",
}
METHODS = ("auto", "auto retain")
ATTACKS = ("head-refit", "full-probe", "fine-tune")
#: how many inputs
_TEXTS = {"probes": 300, "test": 2000, "train": 900}
_SCENES = {"probes": 240, "test": 2000, "train": 900}
#: of those of the training that nobody names, so many are given to the method, the others judge
_GIVEN = 400


@cache
def data(model: str, part: str) -> dict[str, np.ndarray]:
    """Inputs by name, and what is where in them."""
    from trained import scenes, taggers

    if model == "tagger":
        return taggers.make(DATA, part, _TEXTS[part])  # type: ignore[arg-type]
    made = scenes.make(DATA, part, _SCENES[part], 64)  # type: ignore[arg-type]
    if model == "each":  # what is nothing is the last number
        return {"x": made.inputs, "y": np.where(made.masks == 0, len(scenes.CLASSES), made.masks - 1)}
    return {"x": made.inputs, "y": made.masks}


def measure(name: str, method: str) -> dict[str, Any]:
    """Of one method on one model: figures by column, targets by verdict, time."""
    model, column, without = MODELS[name]
    file, reference = (DATA / "places" / f"{each}.onnx" for each in (model, without))
    unnamed = {n: v for n, v in data(model, "train").items() if n != "y"}
    given, others = ({n: v[part] for n, v in unnamed.items()} for part in (np.s_[:_GIVEN], np.s_[_GIVEN:]))
    way, _, retained = method.partition(" ")
    start = time.process_time()
    result = unlearn(file, column, data(model, "probes"), method=way, retain=given if retained else None)
    seconds = time.process_time() - start
    found = examine(
        file,
        result.edited.model(),
        column,
        data(model, "test"),
        reference=reference,
        attacks=ATTACKS,
        retain=others,
    )
    chosen = result.report["method"]["details"].get("chosen", method)
    return {**measured(found, FIGURES, seconds), "chosen": chosen}


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Markdown: a line a model and column, then one a target."""
    lines = head(FIGURES)
    for name in MODELS:
        for key in (key for key in rows if key.partition(" ")[0] == name):
            method = key.partition(" ")[2]
            for column in COLUMNS:
                title = method if column == "edited" else column
                lines += line(f"{name}: {title}", rows[key], column, FIGURES)
    own = {key: row for key, row in rows.items() if key.partition(" ")[0] in MODELS}
    return "\n".join(lines + targets(own))
