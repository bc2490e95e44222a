"""The `modelCard` of a CycloneDX BOM: what was measured, and what one has to consider, from the findings.

cyclonedx-python-lib writes no model cards yet (its `Component` has none as of version 11), so this is JSON as
the CycloneDX schema has it: https://cyclonedx.org/docs/1.6/json/#metadata_component_modelCard
"""

from collections.abc import Iterator, Mapping
from typing import Any

from onnxunlearn.judge import Findings, Measured
from onnxunlearn.judge.row import MODELS
from onnxunlearn.render.held import section
from onnxunlearn.render.sentences import dangers, plainly, sentences, tradeoffs
from onnxunlearn.render.tables import verdict
from onnxunlearn.render.words import class_name, plain

#: what a reader is told beside what an attacker finds
_COMPARE = (
    "Judge it beside the original with its answer merely hidden, and beside a model that was trained without "
    "the class: quantitativeAnalysis has both where they were measured."
)
#: of any result
_ALWAYS = (
    "That the class is no longer answered is no proof that it is forgotten: what attackers bring back has to "
    "be compared with what they find in a model that was trained without the class.",
    "Figures on these samples say little of other kinds of samples.",
    "Nothing here is a statement about legal compliance.",
)


def model_card(findings: Findings) -> dict[str, Any]:
    metrics = [*_metrics(findings), *_classes(findings)]
    return {
        "modelParameters": _parameters(findings),
        "quantitativeAnalysis": {"performanceMetrics": metrics},
        "considerations": {
            "technicalLimitations": limits(findings),
            "performanceTradeoffs": [plain(sentence) for sentence in tradeoffs(findings)],
            "ethicalConsiderations": [
                {"name": plain(sentence), "mitigationStrategy": _COMPARE} for sentence in dangers(findings)
            ],
        },
        "properties": list(_properties(findings)),
    }


def limits(findings: Findings) -> list[str]:
    """What one must not take the result for, each a sentence or a line."""
    unproven = [
        f"{target.status}: {plainly(target)}{f' ({why})' if (why := verdict(target).why) else ''}"
        for target in findings.targets
        if target.status != "passed"
    ]
    warnings = findings.about.get("warnings")
    said = [str(line) for line in warnings] if isinstance(warnings, list | tuple) else []
    return [*unproven, *said, *findings.notes, *_ALWAYS]


def _parameters(findings: Findings) -> dict[str, Any]:
    found: dict[str, Any] = {
        "task": findings.task if findings.of_identity else f"{findings.task} classification"
    }
    held = section(findings, "model") or section(findings, "files").get("edited", {})
    inputs = held.get("inputs")
    if isinstance(inputs, Mapping):
        found["inputs"] = [{"format": f"{name}: {_shape(shape)}"} for name, shape in inputs.items()]
    columns = len(findings.accuracies["original"].per_class)
    of_identity = f"an embedding of {columns} numbers"
    says = of_identity if findings.of_identity else f"scores of {columns} classes"
    found["outputs"] = [{"format": says}]
    if (data := _dataset(findings)) is not None:
        found["datasets"] = [data]
    return found


def _shape(shape: Any) -> str:
    return " × ".join(map(str, shape)) if isinstance(shape, list | tuple) else str(shape)


def _dataset(findings: Findings) -> dict[str, Any] | None:
    """The samples that chose and judged; those of the training are not known here."""
    held = section(findings, "probes") or section(findings, "data").get("judging", {})
    source = held.get("source")
    if not isinstance(source, str):
        return None
    said = {name: held.get(name) for name in ("choosing", "judging", "labels", "sha256", "arrays")}
    properties = [{"name": f"onnxunlearn:{n}", "value": str(v)} for n, v in said.items() if v is not None]
    return {"type": "dataset", "name": source, "contents": {"properties": properties}}


def _metrics(findings: Findings) -> Iterator[dict[str, Any]]:
    """Every figure of every row, by the column that it is in."""
    for row in findings.rows:
        about = "" if row.table == MODELS else f"; {row.table}" if row.table else "; differences"
        for column, measured in row.values.items():
            if measured.value is not None:
                unit = measured.unit or row.unit
                name = f"{row.title} ({unit})" if unit else row.title
                yield _metric(name, f"{column}{about}", measured)


def _classes(findings: Findings) -> Iterator[dict[str, Any]]:
    for name, figures in findings.accuracies.items():
        for c, value in enumerate(figures.per_class):
            if value is not None:
                where = f"{name}; {class_name(findings, c)}"
                yield _metric("accuracy of a class (percent)", where, Measured(value))


def _metric(name: str, where: str, measured: Measured) -> dict[str, Any]:
    found: dict[str, Any] = {"type": name, "value": _number(measured.value), "slice": where}
    if measured.low is not None and measured.high is not None:
        bounds = {"lowerBound": _number(measured.low), "upperBound": _number(measured.high)}
        found["confidenceInterval"] = bounds
    return found


def _number(value: float | None) -> str:
    return f"{round(value or 0.0, 4) + 0.0:g}"


def _properties(findings: Findings) -> Iterator[dict[str, str]]:
    """Verdicts, by what the schema's own fields have no place for; and what was found, in words."""
    for target in findings.targets:
        yield {"name": f"onnxunlearn:target:{target.name}", "value": target.status}
    for sentence in sentences(findings):
        yield {"name": "onnxunlearn:found", "value": plain(sentence)}
