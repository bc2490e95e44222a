"""Other outputs of the same network: what forgetting in one head did to the others."""

from collections.abc import Iterator

import numpy as np

from onnxunlearn.graph import Logits, Model
from onnxunlearn.graph.flow import made_from
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.figures import figure
from onnxunlearn.judge.intervals import NO_LESS_THAN_0, Measured, resampled, share
from onnxunlearn.judge.row import AGREEMENT, DRIFT, Row

_TABLE = "other outputs, as the original gives them"
_LAYERS = frozenset(
    {"Conv", "ConvTranspose", "Gemm", "MatMul", "QLinearConv", "QLinearMatMul", "MatMulNBits"}
)
#: of an output's own deviation, so that one that hardly varies is not divided by nothing
_LEAST = 1e-12


@figure("other-outputs")
def other_outputs(evidence: Evidence) -> Iterator[Row]:
    """For every other output that does not just follow from the class scores: how often it is the original's
    (agreement: of the largest of several scores, of whole numbers), and how far it has drifted: the root mean
    square of the change as a share of how far the original's values are from their mean.

    On all samples; of what the head itself reads, or a form of it, only on retained ones: the rest has to
    change.
    """
    evidence = evidence.sampled
    original = evidence.subjects["original"]
    before = original.others(evidence.probes)
    after = {n: s.others(evidence.probes) for n, s in evidence.subjects.items() if n != "original"}
    for name, values in before.items():
        head = is_head(original.model, original.logits, name)
        asked = np.ones(len(values), dtype=bool) if head else ~evidence.forgotten
        pairs = {
            model: (flat(values[asked]), flat(found[name][asked]))
            for model, found in after.items()
            if name in found and found[name].shape == values.shape
        }
        on = "all samples" if head else "others"
        if decides(values) and head:
            same = {m: agreement(*pair) for m, pair in pairs.items()}
            yield Row(AGREEMENT + name, f"{name}: agreement, {on}", "percent", same, _TABLE, evidence.drawn)
        if values.dtype.kind == "f":
            moved = {m: drift(*pair, evidence.seed) for m, pair in pairs.items()}
            yield Row(DRIFT + name, f"{name}: drift, {on}", "percent", moved, _TABLE, evidence.drawn)


def is_head(model: Model, logits: Logits, output: str) -> bool:
    """Whether the output has layers of its own; else it is what the logits are made from, in some form."""
    own = made_from(model, [output], made_from(model, [logits.tensor]))
    nodes = [model.producer[name] for name in own if name in model.producer]
    return any(kind in node.op for node in nodes for kind in _LAYERS)


def decides(values: np.ndarray) -> bool:
    """Whether an output [N, ...] looks like scores of which the largest wins, or is a decision itself."""
    return values.dtype.kind in "iub" or (values.dtype.kind == "f" and values[0].squeeze().ndim == 1)


def flat(values: np.ndarray) -> np.ndarray:
    """[N, whatever there is of each sample]."""
    return values.reshape(len(values), -1)


def agreement(before: np.ndarray, after: np.ndarray) -> Measured:
    """Of decisions, in percent; both [N, k], scores or whole numbers."""
    if before.dtype.kind == "f":
        same = before.argmax(axis=1) == after.argmax(axis=1)
    else:
        same = (before == after).all(axis=1)
    return share(int(same.sum()), len(same))


def drift(before: np.ndarray, after: np.ndarray, seed: int) -> Measured:
    """√(Σ‖after − before‖² / Σ‖before − mean‖²), in percent; both [N, k]."""
    a, b = before.astype(np.float64), after.astype(np.float64)
    moved, spread = ((b - a) ** 2).sum(axis=1), ((a - a.mean(axis=0)) ** 2).sum(axis=1)
    least = _LEAST * float((a**2).sum()) + np.finfo(float).tiny

    def share_moved(times: np.ndarray) -> float:
        return 100 * float(np.sqrt((moved @ times) / (spread @ times + least)))

    return resampled(share_moved, len(a), seed, within=NO_LESS_THAN_0)
