"""How often a model still says the same of inputs that nobody named."""

from collections.abc import Iterator

import numpy as np

from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.figures import figure
from onnxunlearn.judge.intervals import share
from onnxunlearn.judge.row import UNNAMED, Row
from onnxunlearn.probes import each


@figure("unnamed")
def unnamed(evidence: Evidence) -> Iterator[Row]:
    """Inputs of no known class on which a model decides as the original does, which takes none of them for
    what is to be forgotten. A hidden logit changes nothing there, so the mask is not asked."""
    if evidence.placed is not None and (agreed := evidence.placed.agreed) is not None:
        title = "agreement with the original at places of inputs nobody named"
        measured = {name: agreed.measured(name) for name in evidence.names if name in agreed.same}
        yield Row(UNNAMED, title, "percent", measured)
    probes = evidence.unnamed
    if probes is None or not len(probes):
        return
    forget = list(evidence.forget)
    names = [name for name in evidence.names if name != "mask"]
    decided = {n: each(evidence.task.decide, evidence.subjects[n].scores(probes)) for n in names}
    values = {}
    for name, ours in decided.items():
        same = ours == decided["original"]
        if same.ndim > 1:  # of several outputs those that are retained
            same = np.delete(same, forget, axis=1).all(axis=1)
        values[name] = share(int(same.sum()), len(same))
    yield Row(UNNAMED, "agreement with the original on inputs nobody named", "percent", values)
