"""Fine-tuning on retained data alone: whether the class comes back without a sample of it.

As any owner of the model might train it further. All weights, from the model as it is; the loss leaves the
class's own output aside, so that nothing pushes it down. A poor edit is undone by it, where a retrained model
stays put. Source: "Dormant to Deleted" (2025, arXiv 2505.22310).
"""

from collections.abc import Iterator

from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers.probing import Relearned
from onnxunlearn.judge.attacks.attackers.tuning import STEPS, Tuning, against_of, curve, not_run, refused
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.intervals import UNKNOWN, share
from onnxunlearn.judge.row import ATTACKS, BROUGHT_BACK, Row


@attack("fine-tune-retained")
def fine_tune_retained(evidence: Evidence) -> Iterator[Row]:
    """Samples of the class that are given it after 20, 30 and 100 steps on 20 samples of each other class."""
    if not evidence.thorough or not evidence.forget:
        return
    tuning, against = Tuning(), against_of(evidence)
    if why := refused(evidence, against, tuning):
        yield not_run("fine-tune-retained", why)
        return
    assert against is not None
    found: dict[str, list[Relearned | None]] = {}
    for model in [m for m in evidence.names if m != "original" and evidence.subjects[m].hide is None]:
        evidence.progress(f"training the {model} on retained data")
        found[model] = curve(evidence, model, against, tuning, retained=True)
    if not any(r for curve in found.values() for r in curve):
        yield not_run("fine-tune-retained", "no gradient reaches every weight")
        return
    for i, steps in enumerate(STEPS):
        values = {
            model: UNKNOWN if (r := curve[i]) is None else share(r.accuracy / 100 * r.judged, r.judged)
            for model, curve in found.items()
        }
        name = f"trained {steps} steps on retained data alone"
        yield Row(f"{BROUGHT_BACK}{name}", name, "percent", values, ATTACKS)
