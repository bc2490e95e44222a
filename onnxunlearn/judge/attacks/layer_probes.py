"""Where in a model a class can still be told from the others, and how like the original's its layers are."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers.probing import compared, opponents, relearn
from onnxunlearn.judge.compare import cka
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.intervals import Measured
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
    have, by name, in graph order, outputs averaged over space or tokens; and their `cka`. Of references, at
    those layers that they have, too."""
    if not evidence.thorough or not evidence.forget:
        return
    asked = ["original", "edited", *evidence.references]
    subjects = {name: evidence.subjects[name] for name in asked}
    shared = [layer for layer in subjects["original"].layers if layer in subjects["edited"].layers]
    if not shared:
        return
    evidence.progress("probing every layer")
    found: dict[str, list[Row]] = {}
    against: list[int] | None = None
    for layers in reversed(_together(evidence, shared)):
        recorded = {
            name: subject.activations(evidence.probes, [layer for layer in layers if layer in subject.layers])
            for name, subject in subjects.items()
        }
        if against is None:  # as the last layer has them
            against = opponents(recorded["original"][shared[-1]], evidence.y, evidence.forget, evidence.seed)
        for layer in layers:
            found[layer] = list(_of_layer(evidence, layer, recorded, against))
    for layer in shared:
        yield from found[layer]


def _of_layer(
    evidence: Evidence, layer: str, recorded: Mapping[str, Mapping[str, np.ndarray]], against: list[int]
) -> Iterator[Row]:
    """recorded: by model and layer."""
    own = {name: values[layer] for name, values in recorded.items() if layer in values}
    y, forget, seed = evidence.y, evidence.forget, evidence.seed
    told = {
        name: relearn(values, y, forget, draws=_DRAWS, seed=seed, against=against)
        for name, values in own.items()
    }
    row, *below = compared(told, f"layer {layer}", f"linear probe at {layer}", False, _TABLE)
    alike = Measured(cka(own["original"], own["edited"]), unit="alike")
    yield replace(row, title=layer, values={**row.values, "cka": alike})
    yield from below


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
