"""The default: the best method there is for the model at hand."""

from onnxunlearn.methods.lra_npp import lra_npp
from onnxunlearn.methods.workbench import Outcome, Workbench, method


@method("auto")
def auto(bench: Workbench) -> Outcome:
    """LRA-NPP with k and m searched for; it gives way to deeper methods as they come."""
    outcome = lra_npp(bench)
    return Outcome(outcome.edits, {"chosen": "lra-npp", **outcome.details})
