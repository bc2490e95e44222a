"""Reports of every kind, as JSON: from evidence in arrays, so that none takes a model."""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from onnxunlearn.judge import judge
from onnxunlearn.probes import Labels

from ..judge.made_evidence import decided, evidence

#: names that strangers give
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}",
    "ネコ、寝ている",
    "قطة نائمة",
    "x" * 300,
    "a\nb\x00c\u202ed",
    "&amp; 'quoted'",
    "",
    "class 3",
)
ABOUT: dict[str, Any] = {
    "kind": "run",
    "model": {"path": "m.onnx", "sha256": "a" * 64, "bytes": 5, "classes": 10, "labels": None},
    "edited": {"path": "m.unlearned.onnx", "sha256": "b" * 64, "bytes": 5},
    "options": {"method": "auto", "seed": 0, "parameters": {}},
    "engine": {"name": "numpy", "providers": ["cpu"]},
    "probes": {"source": "p.npz", "labels": "given", "made": {"choosing": 0, "judging": 0}},
    "method": {"name": "auto", "depth": "layers a, b", "details": {"chosen": "erase"}},
    "changes": {
        "tensors": [
            {
                "name": "w",
                "shape": [8, 4],
                "elements": 12,
                "layer": "/a",
                "rows": [0, 1, 2, 5],
                "role": "weight",
            }
        ],
        "bytes": 48,
        "sizes": [5, 5],
        "others": [],
        "notes": {},
    },
    "versions": {"python": "3.11", "onnxunlearn": "0.1.0"},
    "warnings": [],
    "seconds": {"search": 1.5},
    "note": "Nothing here is a statement about legal compliance.",
}


def report(
    classes: int = 10,
    forget: tuple[int, ...] = (3,),
    *,
    names: Sequence[str] = (),
    each: int = 30,
    reference: bool = False,
    tags: bool = False,
    made: bool = False,
    attacked: bool = True,
    **about: Any,
) -> dict[str, Any]:
    """What a run or an audit would write of `each` samples a class: the edited model takes those to forget
    for the next class; the others, but for one in ten of the last class, are right. reference: then it was
    fine-tuned, too. about: in place of ABOUT.
    """
    text = _text(classes, forget, tuple(names), each, reference, tags, made, attacked)
    model = {**ABOUT["model"], "labels": labels_json(names), "classes": classes}
    found = {**json.loads(text), **{**json.loads(json.dumps(ABOUT)), "model": model}, **about}
    found["rows"] += fine_tuned() if reference else []
    return found


def fine_tuned() -> list[dict[str, Any]]:
    """Rows as the attack makes them; after 100 steps the reference could not be measured."""

    def measured(value: float | None) -> dict[str, Any]:
        low, high = (None, None) if value is None else (value - 4, min(value + 4, 100))
        return {"value": value, "low": low, "high": high, "samples": 160}

    found = {20: (10.0, 90.0, 12.0), 30: (30.0, 96.0, 28.0), 100: (88.0, 99.0, None)}
    return [
        {
            "name": f"fine-tune {steps}",
            "title": f"fine-tuned, {steps} steps",
            "unit": "percent",
            "table": "to forget, after fine-tuning on 20 a class",
            "values": dict(zip(("edited", "mask", "reference"), map(measured, values), strict=True)),
            "note": "",
            "by": "attack fine-tune",
        }
        for steps, values in found.items()
    ]


@cache
def _text(
    classes: int,
    forget: tuple[int, ...],
    names: tuple[str, ...],
    each: int,
    reference: bool,
    tags: bool,
    made: bool,
    attacked: bool,
) -> str:
    y = np.repeat(np.arange(classes), each)
    labels = np.eye(classes, dtype=bool)[y]
    labels[:, -1] |= y == 0
    after = np.where(np.isin(y, forget), (y + 1) % classes, y)
    after[-max(each // 10, 1) :] = 0
    said = {"original": y, "edited": after, "mask": np.where(np.isin(y, forget), (y + 2) % classes, y)}
    if reference:
        said["reference"] = said["mask"]
    rng = np.random.default_rng(0)
    inner = {name: 9 * np.eye(classes)[said[name]] + rng.normal(size=(len(y), classes)) for name in said}
    scores = {name: decided(found, classes) for name, found in said.items()}
    found = judge(
        evidence(
            scores,
            y,
            forget,
            features=inner if attacked else None,
            tags=labels if tags else None,
            made=made,
            compared=reference,
            labels=Labels(classes, tuple(names)) if names else None,
        ),
        0.5,
        "given",
    )
    return json.dumps(found.to_json())


def labels_json(names: Sequence[str]) -> dict[str, Any] | None:
    return {"names": list(names), "numbers": None, "source": "a list"} if names else None
