"""The folds that every command is made of, each a value in and a value out.

plan = fit("model.onnx", 3, "choosing.npz")
edited = apply(plan, "model.onnx")
findings = judge("model.onnx", edited.model(), 3, "judging.npz")
page = render(findings)

`unlearn` is these with some of the probes held back to judge by. What they give cannot be changed, and none
of them writes a file (`edited.save` does). `fit` and `judge` take the fields of `Options`.
"""

from collections.abc import Mapping
from typing import Any, Unpack

from onnxunlearn.arguments import check_kind
from onnxunlearn.detectors import loaded_detector
from onnxunlearn.edits import Plan
from onnxunlearn.errors import InputError
from onnxunlearn.examine import examine as judge
from onnxunlearn.fitting import Clock, Fit
from onnxunlearn.graph import Edited, ModelSource, Snapshot, load
from onnxunlearn.inquiry import Forget, Options, Shared
from onnxunlearn.judge import Findings
from onnxunlearn.probes import Source
from onnxunlearn.render import html

__all__ = ["Edited", "Findings", "Options", "Plan", "apply", "fit", "judge", "render"]


def fit(
    model: ModelSource,
    forget: Forget,
    data: Source | None = None,
    *,
    method: str = "auto",
    parameters: Mapping[str, Any] | None = None,
    composite: str = "lra_npp",
    **options: Unpack[Shared],
) -> Plan:
    """What it takes to make the model forget. Arguments and errors are those of `unlearn`, but all probes
    choose: judge by others. Detectors are not covered."""
    chosen = Options(**options).with_pipe_read()
    model, detector = loaded_detector(model, forget, chosen)
    if detector is not None:
        raise InputError("fit: detection is not covered; give `unlearn`, whose result has a `plan`")
    begun = Fit.of(model, forget, data, composite, chosen, Clock(), hold_back=False)
    return begun.decide(method, parameters or {}).plan


def apply(plan: Plan, model: ModelSource) -> Edited:
    """The edited model: `.data` are its file's bytes, `.save` writes it. Raises InputError if the plan is for
    another model."""
    check_kind("plan", plan, Plan, "a Plan; `Plan.from_bytes` reads one")
    loaded = load(model)
    began = Snapshot.of(loaded)
    return Edited.of(loaded, plan.arrays(loaded), began)


def render(findings: Findings) -> bytes:
    """The findings as one HTML page that needs nothing else, see `onnxunlearn.render`."""
    check_kind("findings", findings, Findings, "what `judge` gives, or a result's `findings`")
    return html(findings.to_json(), source="the findings")
