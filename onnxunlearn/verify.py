"""Whether an edited model is what a report says, and differs from the original in nothing else."""

import json
from dataclasses import dataclass

from onnxunlearn.graph import Model, Snapshot
from onnxunlearn.judge import diff
from onnxunlearn.judge.run_report import Digests, RunReport
from onnxunlearn.lowering import lower


@dataclass(frozen=True)
class Check:
    """name: what was asked. problem: in one line, what is not so; "" if it is."""

    name: str
    problem: str = ""

    @property
    def holds(self) -> bool:
        return not self.problem


def verify(edited: Model, original: Model, report: RunReport) -> list[Check]:
    """What was checked: both models' digests, and every difference between them against the listed ones.
    Raises InputError for files that change meanwhile."""
    checks = [
        Check(f"the {name} is the one of the report", _other(Snapshot.of(model), said))
        for name, model, said in (
            ("original", original, report.original),
            ("edited model", edited, report.edited),
        )
    ]
    found = diff(original, edited, lower(original))
    said = {tensor["name"]: tensor for tensor in report.changes["tensors"]}
    differing = {tensor["name"]: tensor for tensor in json.loads(json.dumps(found.to_json()))["tensors"]}
    wrong = [name for name in said.keys() | differing.keys() if said.get(name) != differing.get(name)]
    checks.append(
        Check("the tensors, rows and bytes that differ are those of the report", listed(sorted(wrong)))
    )
    checks.append(Check("nothing else differs", listed(found.others)))
    return checks


def _other(files: Snapshot, said: Digests) -> str:
    found = Digests.of(files)
    if found.model != said.model:
        return f"{_name(files)} has sha256 {found.model[:16]}…, the report says {said.model[:16]}…"
    for name, digest in said.data.items():
        if found.data.get(name) != digest:
            return f"{name} has sha256 {str(found.data.get(name))[:16]}…, the report says {digest[:16]}…"
    return ""


def _name(files: Snapshot) -> str:
    return "the model" if files.model.path is None else str(files.model.path)


def listed(names: object) -> str:
    """Some of them, and how many more there are."""
    shown = [str(name) for name in names] if isinstance(names, list | tuple) else []
    return ", ".join(shown[:8]) + (f" and {len(shown) - 8} more" if len(shown) > 8 else "")
