"""Where in a model a class can still be told from the others, and how like the original's its layers are."""

from collections.abc import Iterator

import numpy as np

from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers.probing import opponents, relearn
from onnxunlearn.judge.compare import cka
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.intervals import UNKNOWN, Measured, share
from onnxunlearn.judge.row import Row
from onnxunlearn.probes import is_unread

#: heads fitted for a layer's probe; there are many layers
_DRAWS = 3
#: numbers that are held of what a stream's samples are inside of one model
_RECORDED = 2**25
_TABLE = "linear probe for the class, by layer"


@attack("layer-probes")
def layer_probes(evidence: Evidence) -> Iterator[Row]:
    """Accuracy on the forgotten classes of a linear probe at every layer that original and edited model both
    have, by name, in graph order, outputs averaged over space or tokens; and their `cka`."""
    if not evidence.thorough:
        return
    original, edited = evidence.subjects["original"], evidence.subjects["edited"]
    shared = [name for name in original.layers if name in edited.layers]
    if not shared:
        return
    evidence.progress("probing every layer")
    found: dict[str, Row] = {}
    against: list[int] | None = None
    for names in reversed(_together(evidence, shared)):
        recorded = [subject.activations(evidence.probes, names) for subject in (original, edited)]
        if against is None:  # as the last layer has them
            against = opponents(recorded[0][shared[-1]], evidence.y, evidence.forget, evidence.seed)
        for name in names:
            pair = [values[name] for values in recorded]
            before, after = (_probe(values, evidence, against) for values in pair)
            alike = Measured(cka(*pair), unit="alike")
            columns = {"original": before, "edited": after, "cka": alike}
            found[name] = Row(f"layer {name}", name, "percent", columns, _TABLE)
    yield from (found[name] for name in shared)


def _together(evidence: Evidence, names: list[str]) -> list[list[str]]:
    """Layers that are recorded in one go: all, but of a stream no more than fit."""
    if not is_unread(evidence.probes.feeds):
        return [names]
    groups: list[list[str]] = []
    room = 0
    for name in names:
        numbers = len(evidence.probes) * evidence.subjects["original"].layers[name].neurons
        if numbers > room or not groups:
            groups.append([])
            room = _RECORDED
        groups[-1].append(name)
        room -= numbers
    return groups


def _probe(values: np.ndarray, evidence: Evidence, against: list[int]) -> Measured:
    y, seed = evidence.y, evidence.seed
    found = relearn(values, y, evidence.forget, draws=_DRAWS, seed=seed, against=against)
    return UNKNOWN if found is None else share(found.accuracy / 100 * found.judged, found.judged)
