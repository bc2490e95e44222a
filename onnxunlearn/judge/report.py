"""The report of a run: everything needed to judge the edited file, and to make it again."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import onnx

from onnxunlearn.digests import sha256, sha256_of
from onnxunlearn.graph import Logits, Snapshot
from onnxunlearn.graph.dimensions import sizes_of
from onnxunlearn.judge.diff import Diff
from onnxunlearn.tasks import Figures, worst_class

#: raised whenever a reader of older reports would misread a newer one
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Target:
    """One thing a result should reach. reached, met: None where it could not be measured."""

    name: str
    limit: float
    reached: float | None
    met: bool | None
    unit: str = "percent"


def describe_files(model: Path, others: Sequence[Path]) -> dict[str, Any]:
    """What the report says of the edited model as it was written. others: its data files. Folders are
    nobody's business: a path is a name."""
    data = [{"path": p.name, "sha256": sha256_of(p), "bytes": p.stat().st_size} for p in others]
    found = {"path": model.name, "sha256": sha256_of(model), "bytes": model.stat().st_size}
    return {**found, "data": data} if data else found


def versions() -> dict[str, str]:
    """Versions of what computes; missing packages are left out."""
    found = {"python": platform.python_version()}
    for package in (
        "onnxunlearn",
        "onnx",
        "onnxruntime",
        "onnxruntime-gpu",
        "numpy",
        "scikit-learn",
        "torch",
    ):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def describe(files: Snapshot, logits: Logits) -> dict[str, Any]:
    """What the report says of the original. Its data files are called as it calls them."""
    model = files.model
    data = [{"path": name, "sha256": f.sha256, "bytes": f.bytes} for name, f in files.data.items()]
    return {
        "path": None if model.path is None else model.path.name,
        "sha256": sha256(model.data),
        "bytes": len(model.data),
        **({"data": data} if data else {}),
        "ir_version": model.proto.ir_version,
        "opsets": model.opsets,
        "producer": f"{model.proto.producer_name} {model.proto.producer_version}".strip(),
        "inputs": {i.name: declared_shape(i) for i in model.inputs},
        "output": logits.output,
        "logits": logits.tensor,
        "classes": logits.classes,
    }


def declared_shape(info: onnx.ValueInfoProto) -> list[int | str]:
    """Numbers, names of free dimensions, `?` for unnamed ones."""
    names = (d.dim_param or "?" for d in info.type.tensor_type.shape.dim)
    return [name if size is None else size for name, size in zip(names, sizes_of(info), strict=True)]


def build_report(
    *,
    files: Snapshot,
    logits: Logits,
    edited: bytes,
    forget: Sequence[int],
    labels: Sequence[str] | None,
    options: Mapping[str, Any],
    engine: Mapping[str, Any],
    probes: Mapping[str, Any],
    figures: Mapping[str, Figures],
    attacks: Mapping[str, Any],
    targets: Sequence[Target],
    not_judged: Mapping[str, str],
    method: Mapping[str, Any],
    changes: Diff,
    notes: Mapping[str, str],
    warnings: Sequence[str],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """The report as JSON-ready data; accuracies in percent, times in seconds.

    files: the original's. not_judged: by target that the probes cannot tell, what it would take. notes: by
    tensor, what a stored type could not hold as it was meant.
    """
    worst = worst_class(figures["original"], figures["edited"], forget)
    return {
        "schema": SCHEMA_VERSION,
        "model": describe(files, logits),
        "edited": {"sha256": sha256(edited), "bytes": len(edited)},
        "forget": {"classes": list(forget), "names": [labels[c] for c in forget] if labels else None},
        "options": dict(options),
        "engine": dict(engine),
        "versions": versions(),
        "probes": dict(probes),
        "figures": {name: f.to_json() for name, f in figures.items()},
        "worst_retained_class": None if worst is None else {"class": worst[0], "lost": round(worst[1], 4)},
        "attacks": dict(attacks),
        "targets": [{**vars(t)} for t in targets],
        "not_judged": dict(not_judged),
        "targets_met": all(t.met is not False for t in targets),
        "method": dict(method),
        "changes": {**changes.to_json(), "notes": dict(notes)},
        "warnings": list(warnings),
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "note": (
            "Accuracies are measured on the judging part of the probes, on the edited file as saved. `mask` "
            "is the original with the class's output hidden: it forgets nothing inside, and shows what "
            "hiding alone achieves. `attacks.relearn`: accuracy on the class after a new linear head was "
            "fitted on the model's features, from so many of the choosing probes of each class; the judging "
            "probes judge it. Compare it with what a model retrained without the class gives, not with 0. "
            "`met` is null where no probes could tell. Probes made from the model (`made`) look real to the "
            "model alone: figures on them say little of real inputs. Nothing here is a statement about "
            "legal compliance."
        ),
    }
