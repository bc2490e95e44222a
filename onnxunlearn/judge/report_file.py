"""The report as a file beside the edited model: what it is called, and whether it is about that model."""

import json
from pathlib import Path
from typing import Any

from onnxunlearn.digests import sha256
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Model, Snapshot
from onnxunlearn.text import read_text


def report_path(model: Path, folder: Path | None = None) -> Path:
    """Where the report on an edited model lies; folder: default, beside it."""
    return (folder or model.parent) / f"{model.stem}.report.json"


def page_path(report: Path) -> Path:
    """Where the page of a report lies: beside it, with `.html` in place of `.json`."""
    name = report.name.removesuffix(".json")
    return report.with_name(f"{name}.html")


def foreign_report(model: Model, path: Path | None = None) -> str | None:
    """In one line, that a report is about another model; None if it is about this one, or if there is none.
    path: of the report; default, the one beside the model.

    They do not belong together if one of them was replaced, copied or renamed alone, or if the process was
    killed between the renames that put both into place.
    """
    if model.path is None:
        return None
    own = report_path(model.path)
    path = path or own
    about = _edited(path)
    if about is None or (
        about.get("sha256") == sha256(*model.content.pieces) and _is_data(about.get("data", []), model)
    ):
        return None
    if path != own:
        return f"{path}: is the report on another model, not on {model.path} (their SHA-256 differ)"
    return (
        f"{path.name} beside it is the report on another model, not on this one (their SHA-256 differ); "
        "do not go by it, run again"
    )


def chose(model: Model, digest: str | None) -> bool:
    """Whether the report beside an edited model says that samples of this SHA-256 chose the edit."""
    if model.path is None or digest is None or foreign_report(model) is not None:
        return False
    probes = (_report(report_path(model.path)) or {}).get("probes")
    return isinstance(probes, dict) and digest in (probes.get("sha256"), probes.get("arrays"))


def _report(path: Path) -> dict[str, Any] | None:
    """A report of ours; None if there is none."""
    try:
        report = json.loads(read_text(path)) if path.is_file() else None
    except (InputError, OSError, ValueError, RecursionError):  # a stranger's file, or none that can be read
        return None
    return report if isinstance(report, dict) else None


def _edited(path: Path) -> dict[str, Any] | None:
    """What a report says of the edited model's files; None if there is no report of ours."""
    found = (_report(path) or {}).get("edited")
    return found if isinstance(found, dict) and isinstance(found.get("sha256"), str) else None


def _is_data(reported: Any, model: Model) -> bool:
    """Whether the model's data files are the reported ones, by name and digest."""
    if not isinstance(reported, list) or not all(isinstance(file, dict) for file in reported):
        return False
    said = {Path(str(file.get("path"))).name: file.get("sha256") for file in reported}
    return said == {name: file.sha256 for name, file in Snapshot.of(model).data.items()}
