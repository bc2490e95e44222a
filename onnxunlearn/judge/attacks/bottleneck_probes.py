"""Linear probes where all that a model knows of a sample passes, unpooled: what the next layer really reads.

The mean over places or tokens, which `layer_probes` asks, hides what lies where: the last convolution of a
digit classifier shows 34 % of a class on the mean, its flattened output 93 %.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from onnxunlearn.engines.batching import record
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import find_layers
from onnxunlearn.judge.attacks import attack
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
    layer stands behind, in original, edited model and references that have it."""
    if not evidence.thorough or not evidence.forget:
        return
    original = evidence.subjects["original"]
    features = original.features(evidence.probes)
    if features is None:
        return
    try:
        places = reading_places(original)
    except UnsupportedError as error:
        yield not_run("bottleneck-probes", str(error))
        return
    evidence.progress("probing what the layers read")
    against = opponents(features, evidence.y, evidence.forget, evidence.seed)
    some = evidence.probes.select(_looked_at(evidence, against))
    assert some.y is not None
    subjects = {n: evidence.subjects[n] for n in ("original", "edited", *evidence.references)}
    for tensor, layer in places:
        told = {
            name: relearn(
                _read(subject, tensor, some, evidence.seed),
                some.y,
                evidence.forget,
                draws=_DRAWS,
                seed=evidence.seed,
                against=against,
            )
            for name, subject in subjects.items()
            if tensor in subject.lowered.producer
        }
        if "edited" in told:
            name, title = f"bottleneck {tensor}", f"linear probe for what {layer} reads"
            yield from compared(told, name, title, False, _TABLE)


def reading_places(subject: Subject) -> list[tuple[str, str]]:
    """The last tensor before each layer through which all goes, with the layer's name; in graph order, no
    tensor twice, the inputs left out. Of many some, evenly. Raises UnsupportedError where the way from the
    inputs to the logits cannot be seen."""
    model = subject.logits.within(subject.lowered)
    cuts = [(n, at) for n, at in bottlenecks(model, subject.logits.tensor) if n in model.producer]
    found: dict[str, str] = {}
    for layer in own_layers(model, find_layers(model), subject.logits.tensor):
        before = [name for name, at in cuts if at <= layer.node.index]
        if before:
            found.setdefault(before[-1], layer.name)
    places = list(found.items())
    if len(places) <= _PLACES:
        return places
    return [places[i] for i in np.linspace(0, len(places) - 1, _PLACES).round().astype(int)]


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
    found = record(session, some.feeds, [tensor], subject.batch_size, baked=model.batch_size, reduce=reduce)
    return np.asarray(found[tensor])


def _row(width: int, seed: int, _: str, values: np.ndarray) -> np.ndarray:
    return folded_rows(values.astype(np.float32, copy=False), width, seed)
