"""What reports say of files, and of how an edited one came about: everything needed to make it again."""

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import onnx

from onnxunlearn.digests import sha256, sha256_of
from onnxunlearn.graph import FileBytes, Logits, Snapshot, not_finite
from onnxunlearn.graph.dimensions import sizes_of
from onnxunlearn.judge.diff import Diff
from onnxunlearn.probes import Labels


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


def describe(files: Snapshot, logits: Logits, labels: Labels) -> dict[str, Any]:
    """What the report says of the original. Its data files are called as it calls them. labels: what the
    columns of its scores are called."""
    model = files.model
    data = [{"path": name, "sha256": f.sha256, "bytes": f.stamp.bytes} for name, f in files.data.items()]
    return {
        "path": None if model.path is None else model.path.name,
        "sha256": sha256(*model.content.pieces),
        "bytes": len(model.content),
        **({"data": data} if data else {}),
        "ir_version": model.proto.ir_version,
        "opsets": model.opsets,
        "producer": f"{model.proto.producer_name} {model.proto.producer_version}".strip(),
        "inputs": {i.name: declared_shape(i) for i in model.inputs},
        "output": logits.output,
        "logits": logits.tensor,
        "classes": logits.classes,
        "labels": labels.to_json(),
    }


def declared_shape(info: onnx.ValueInfoProto) -> list[int | str]:
    """Numbers, names of free dimensions, `?` for unnamed ones."""
    names = (d.dim_param or "?" for d in info.type.tensor_type.shape.dim)
    return [name if size is None else size for name, size in zip(names, sizes_of(info), strict=True)]


def about_run(
    *,
    files: Snapshot,
    logits: Logits,
    labels: Labels,
    edited: FileBytes,
    options: Mapping[str, Any],
    engine: Mapping[str, Any],
    probes: Mapping[str, Any],
    method: Mapping[str, Any],
    changes: Diff,
    notes: Mapping[str, str],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """What a run adds to its findings, JSON-ready; times in seconds.

    files: the original's. notes: by tensor, what a stored type could not hold as it was meant.
    """
    return {
        "kind": "run",
        "model": describe(files, logits, labels),
        "edited": {"sha256": sha256(*edited.pieces), "bytes": len(edited)},
        "options": dict(options),
        "engine": dict(engine),
        "versions": versions(),
        "probes": dict(probes),
        "method": dict(method),
        "changes": {**changes.to_json(), "notes": dict(notes)},
        "warnings": [*not_finite(files.model), *labels.notes],
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "note": f"{NOTE} {DEPENDS}",
    }


def about_audit(
    files: Mapping[str, Snapshot],
    logits: Mapping[str, Logits],
    labels: Labels,
    data: Mapping[str, Mapping[str, Any]],
    doubts: Sequence[str] = (),
) -> dict[str, Any]:
    """What an audit adds to its findings. data: where samples come from, by "judging" and "training", see
    `probes.origin`. doubts: what is odd about the scores or the samples."""
    return {
        "kind": "audit",
        "files": {name: describe(found, logits[name], labels) for name, found in files.items()},
        "data": {name: dict(origin) for name, origin in data.items()},
        "warnings": [*doubts],
        "versions": versions(),
        "note": NOTE,
    }


#: what a reader of a report has to know
NOTE = (
    "Accuracies are measured on samples that did not choose the edit, on the edited file as saved. `mask` is "
    "the original with the class's output hidden: it forgets nothing inside, and shows what hiding alone "
    "achieves. `relearn`: accuracy on the class after a new linear head was fitted on the model's features, "
    "from a few samples of each class. Compare it with what a model retrained without the class gives, not "
    "with 0. `low` and `high` hold with 95 % confidence each. A target is passed or missed where both are on "
    "one side of its limit, undecided where they are not, unknown where nothing could be measured; `met` "
    "says on which side the figure alone is, and is null where it does not count. Probes made from the model "
    "(`made`) look real to the model alone: figures on them say little of real inputs. Nothing here is a "
    "statement about legal compliance."
)
#: what a reader of a run's report has to know besides; measured in docs/stability.md
DEPENDS = (
    "The same file comes of the same model, probes, options and seed, with these versions and this engine on "
    "the same kind of processor; the number of threads made no difference where that was tried. The batch "
    "size is one of the options: where a model takes the range of its activations from the batch "
    "(DynamicQuantizeLinear), another size may give another file; it is judged by samples fed one by one."
)
