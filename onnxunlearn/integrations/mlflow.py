"""An edited model as a run of MLflow: the model in its onnx flavour, papers as artefacts, and metrics."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from onnxunlearn.errors import InputError
from onnxunlearn.graph import Model, Snapshot, load
from onnxunlearn.graph.dimensions import sizes_of
from onnxunlearn.graph.external import locations
from onnxunlearn.judge import Findings, reread
from onnxunlearn.judge.run_report import Digests
from onnxunlearn.text import parse_json, read_text

if TYPE_CHECKING:
    from mlflow.models import ModelSignature
    from mlflow.models.model import ModelInfo

_Path = str | os.PathLike[str]
#: where the papers lie among the run's artefacts
FOLDER = "onnxunlearn"
#: what MLflow takes in names of metrics
_NO_NAME = re.compile(r"[^\w\-. /]")
_LONGEST_NAME, _LONGEST_VALUE = 250, 6000


def log_model(
    edited: _Path,
    report: _Path,
    papers: Sequence[_Path] = (),
    *,
    name: str = "model",
    registered_model_name: str | None = None,
) -> "ModelInfo":
    """Log an edited model to the run that is active, or to one of its own.

    edited: what `run` wrote, with its report. papers: page, patch, bill of materials, signature, whatever
    goes along. name, registered_model_name: as of `mlflow.onnx.log_model`. The report and the papers become
    artefacts in `onnxunlearn/`, every figure a metric `FIGURE/MODEL` (`relearn/edited`; bounds `.low` and
    `.high`), `all_targets_passed` and `none_missed` 0 or 1, what was asked parameters, and SHA-256 tags.

    Raises InputError if the report is not about this model, a file is missing, MLflow is not installed, or
    its server cannot be reached.
    """
    try:
        import mlflow
        import mlflow.onnx
    except ModuleNotFoundError as error:
        raise InputError(f"logging to MLflow needs {error.name}; pip install 'onnxunlearn[mlflow]'") from None
    from contextlib import nullcontext

    model, findings = load(edited), read_findings(Path(report))
    check_about(model, findings, Path(report))
    files = [Path(path) for path in (report, *papers)]
    for path in files:
        if not path.is_file():
            raise InputError(f"{path}: no such file; give the papers that go along")
    active = mlflow.active_run()
    try:
        with nullcontext(active) if active is not None else mlflow.start_run():
            mlflow.log_params(params(findings))
            mlflow.log_metrics(metrics(findings))
            mlflow.set_tags(_tags(findings))
            for path in files:
                mlflow.log_artifact(str(path), FOLDER)
            return mlflow.onnx.log_model(
                onnx.load(os.fspath(edited)),
                name=name,
                signature=_signature(model),
                # MLflow would load the model in another process to find out
                pip_requirements=mlflow.onnx.get_default_pip_requirements(),
                # a model in one file stays the same bytes
                save_as_external_data=bool(locations(model.proto)),
                registered_model_name=registered_model_name,
            )
    except mlflow.exceptions.MlflowException as error:
        raise InputError(f"MLflow: {' '.join(str(error).split())[:300]}") from None


def read_findings(report: Path) -> Findings:
    """Raises InputError if it is no report, or a damaged one."""
    return reread(parse_json(read_text(report), report), str(report))


def metrics(findings: Findings) -> dict[str, float]:
    """Every figure that was measured, by `FIGURE/MODEL`."""
    passed = findings.statuses["passed"] == len(findings.targets)
    found: dict[str, float] = {"all_targets_passed": float(passed), "none_missed": float(findings.met)}
    for row in findings.rows:
        for column, measured in row.values.items():
            ends = (("", measured.value), (".low", measured.low), (".high", measured.high))
            for ending, value in ends:
                if measured.value is not None and value is not None:
                    found[_named(f"{row.name}/{column}", ending)] = value
    for status, number in findings.statuses.items():
        found[f"targets/{status}"] = float(number)
    return found


def params(findings: Findings) -> dict[str, str]:
    """What was asked, and by what it was done."""
    names = findings.names
    classes = [names.shown(c) if names else str(c) for c in findings.forget]
    asked = {"forget": ",".join(classes), "task": findings.task, "samples": findings.samples}
    for part in ("options", "method", "engine"):
        held = findings.about.get(part)
        if isinstance(held, Mapping):
            asked |= {f"{part}.{key}": value for key, value in held.items() if key != "details"}
    return {_named(key): _value(value) for key, value in asked.items()}


def _named(name: str, ending: str = "") -> str:
    return _NO_NAME.sub("_", name)[: _LONGEST_NAME - len(ending)] + ending


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=list)
    return text[:_LONGEST_VALUE]


def _tags(findings: Findings) -> dict[str, str]:
    held = {"original": findings.about.get("model"), "edited": findings.about.get("edited")}
    tags = {
        f"onnxunlearn.{which}.sha256": str(file["sha256"])
        for which, file in held.items()
        if isinstance(file, Mapping) and "sha256" in file
    }
    return {**tags, "onnxunlearn.kind": str(findings.about.get("kind"))}


def check_about(model: Model, findings: Findings, report: Path) -> None:
    """Raises InputError unless these are findings of a run that made this model, data files included."""
    said = findings.about.get("edited")
    named = isinstance(said, Mapping) and "sha256" in said
    if not named or Digests.read(dict(said or {})) != Digests.of(Snapshot.of(model)):
        raise InputError(
            f"{report}: not the report of a run about {model.path}; give what `run` wrote beside it"
        )


def _signature(model: Model) -> "ModelSignature":
    """Types and shapes of inputs and outputs, as servers ask for them; free sizes are −1."""
    from mlflow.models import ModelSignature
    from mlflow.types import Schema

    return ModelSignature(Schema(list(_specs(model.inputs))), Schema(list(_specs(model.graph.output))))


def _specs(infos: Sequence[onnx.ValueInfoProto]) -> Iterator[Any]:
    from mlflow.types import TensorSpec

    for info in infos:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
        shape = tuple(-1 if size is None else size for size in sizes_of(info))
        yield TensorSpec(np.dtype(dtype), shape, info.name)
