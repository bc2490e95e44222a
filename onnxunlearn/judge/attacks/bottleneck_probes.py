"""Linear probes where all that a model knows of a sample passes, unpooled: what the next layer really reads.

The mean over places or tokens, which `layer_probes` asks, hides what lies where: the last convolution of a
digit classifier shows 34 % of a class on the mean, its flattened output 93 %.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from onnxunlearn.engines.batching import record
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Layer, find_layers
from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers.counterparts import counterparts, not_compared
from onnxunlearn.judge.attacks.attackers.probing import compared, opponents, relearn
from onnxunlearn.judge.attacks.attackers.tuning import not_run
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.row import Row
from onnxunlearn.judge.running import session_of
from onnxunlearn.judge.subject import Subject
from onnxunlearn.numerics import folded_rows
from onnxunlearn.probes import Probes
from onnxunlearn.reverse import bottlenecks, own_layers

#: heads fitted for a probe; places that are asked at most
_DRAWS, _PLACES = 3, 12
#: samples of the class, and of every other, that are looked at
_ASKED, _OTHERS = 400, 60
#: numbers of a sample that are looked at: more are added up; numbers that are held at a time
_WIDTH, _HELD = 1 << 13, 1 << 24
_TABLE = "linear probe for the class, by what is read"


@attack("bottleneck-probes")
def bottleneck_probes(evidence: Evidence) -> Iterator[Row]:
    """Accuracy on the forgotten classes of a linear probe at every tensor through which all goes and that a
    layer stands behind, in original, edited model and references: by name where they have all these tensors,
    else by order of the layers that read them, see `counterparts`."""
    if not evidence.thorough or not evidence.forget:
        return
    original = evidence.subjects["original"]
    features = original.features(evidence.probes)
    if features is None:
        return
    try:
        places = _some(reading_places(original))
    except UnsupportedError as error:
        yield not_run("bottleneck-probes", str(error))
        return
    evidence.progress("probing what the layers read")
    against = opponents(features, evidence.y, evidence.forget, evidence.seed)
    some = evidence.probes.select(_looked_at(evidence, against))
    assert some.y is not None
    subjects = {n: evidence.subjects[n] for n in ("original", "edited", *evidence.references)}
    called, missing = counterparts(subjects, places, reading_places, lambda subject: subject.lowered.producer)
    if "edited" in missing:
        yield not_run("bottleneck-probes", not_compared(missing))
    for tensor in called["edited"]:
        told = {
            name: relearn(
                _read(subject, called[name][tensor], some, evidence.seed),
                some.y,
                evidence.forget,
                draws=_DRAWS,
                seed=evidence.seed,
                against=against,
            )
            if tensor in called[name]
            else None
            for name, subject in subjects.items()
        }
        name, title = f"bottleneck {tensor}", f"linear probe for what {places[tensor].name} reads"
        yield from compared(told, name, title, False, _TABLE, not_compared(missing))


def reading_places(subject: Subject) -> dict[str, Layer]:
    """The last tensor before each layer through which all goes, with the layer; in graph order, no tensor
    twice, the inputs left out. Raises UnsupportedError where the way from the inputs to the logits cannot be
    seen."""
    model = subject.logits.within(subject.lowered)
    cuts = [(n, at) for n, at in bottlenecks(model, subject.logits.tensor) if n in model.producer]
    found: dict[str, Layer] = {}
    for layer in own_layers(model, find_layers(model), subject.logits.tensor):
        before = [name for name, at in cuts if at <= layer.node.index]
        if before:
            found.setdefault(before[-1], layer)
    return found


def _some(places: Mapping[str, Layer]) -> dict[str, Layer]:
    """Of many some, evenly."""
    chosen = list(places.items())
    if len(chosen) <= _PLACES:
        return dict(chosen)
    return dict(chosen[i] for i in np.linspace(0, len(chosen) - 1, _PLACES).round().astype(int))


def _looked_at(evidence: Evidence, against: Sequence[int]) -> np.ndarray:
    """Indices of some samples of each class that counts, in order."""
    rng, y = np.random.default_rng(evidence.seed), evidence.y
    drawn = [rng.permutation(np.flatnonzero(y == c))[:_ASKED] for c in evidence.forget]
    drawn += [rng.permutation(np.flatnonzero(y == c))[:_OTHERS] for c in against]
    return np.sort(np.concatenate(drawn))


def _read(subject: Subject, tensor: str, some: Probes, seed: int) -> np.ndarray:
    """The tensor, a row a sample."""
    width = max(1, min(_WIDTH, _HELD // max(len(some), 1)))
    session = session_of(subject.lowered, [tensor], subject.engine)
    reduce = partial(_row, width, seed)
    model = subject.lowered
    found = record(session, some.feeds, [tensor], subject.batch_size, baked=model.at_once, reduce=reduce)
    return np.asarray(found[tensor])


def _row(width: int, seed: int, _: str, values: np.ndarray) -> np.ndarray:
    return folded_rows(values.astype(np.float32, copy=False), width, seed)
