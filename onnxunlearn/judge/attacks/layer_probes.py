"""Where in a model a class can still be told from the others, and how like the original's its layers are."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers.counterparts import counterparts, not_compared
from onnxunlearn.judge.attacks.attackers.probing import compared, opponents, relearn
from onnxunlearn.judge.attacks.attackers.tuning import not_run
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
    have, in graph order, outputs averaged over space or tokens; and their `cka`. Of references at the same
    layers: by name where all of these are there, else by order, see `counterparts`."""
    if not evidence.thorough or not evidence.forget:
        return
    asked = ["original", "edited", *evidence.references]
    subjects = {name: evidence.subjects[name] for name in asked}
    own = subjects["original"].layers
    called, missing = counterparts(subjects, own, lambda subject: subject.layers)
    shared = list(called["edited"])
    if not shared:
        if missing:
            yield not_run("layer-probes", not_compared(missing))
        return
    evidence.progress("probing every layer")
    found: dict[str, list[Row]] = {}
    against: list[int] | None = None
    for layers in reversed(_together(evidence, shared)):
        recorded = {}
        for name, subject in subjects.items():
            known = {layer: called[name][layer] for layer in layers if layer in called[name]}
            values = subject.activations(evidence.probes, list(known.values()))
            recorded[name] = {layer: values[its] for layer, its in known.items()}
        if against is None:  # as the last layer has them
            against = opponents(recorded["original"][shared[-1]], evidence.y, evidence.forget, evidence.seed)
        for layer in layers:
            found[layer] = list(_of_layer(evidence, layer, recorded, against, not_compared(missing)))
    for layer in shared:
        yield from found[layer]


def _of_layer(
    evidence: Evidence,
    layer: str,
    recorded: Mapping[str, Mapping[str, np.ndarray]],
    against: list[int],
    note: str,
) -> Iterator[Row]:
    """recorded: by model and layer, as the original calls it. note: why it is not there of each."""
    own = {name: values.get(layer) for name, values in recorded.items()}
    y, forget, seed = evidence.y, evidence.forget, evidence.seed
    told = {
        name: None if values is None else relearn(values, y, forget, draws=_DRAWS, seed=seed, against=against)
        for name, values in own.items()
    }
    row, *below = compared(told, f"layer {layer}", f"linear probe at {layer}", False, _TABLE, note)
    alike = Measured(cka(recorded["original"][layer], recorded["edited"][layer]), unit="alike")
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
