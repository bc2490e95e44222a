"""What models lose at places, where only the original says what is there.

By its own answers it is right everywhere, so each border that moves and each small patch that turns is lost
in full: of an edit that cost 0.5 points of mean IoU by annotations, they said 20. But it was unsure there. As
among samples (`tasks.believed`), a place is therefore of each class as far as the original believes it, the
classes to forget left out; both models are scored by what is expected of that.

    IoU of c = Σ p_c·1(said c) / (Σ 1(said c) + Σ p_c − Σ p_c·1(said c))
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import logit, softmax

from onnxunlearn.engines import Engine
from onnxunlearn.engines.batching import Feeds, batch_size, batches
from onnxunlearn.graph.places import PlaceScores
from onnxunlearn.judge.placed import Counted, Whole
from onnxunlearn.judge.running import session_of
from onnxunlearn.lowering import sampled

#: a chance that is taken for none
_LEAST = 1e-6


def believed_counts(
    original: Whole,
    engine: Engine,
    feeds: Feeds,
    size: int,
    maps: Mapping[str, np.ndarray],
    truth: np.ndarray,
    forget: Sequence[int],
) -> dict[str, Counted] | None:
    """What is expected of `Counted`, by model, of the places that are not to be forgotten; None where the
    original's output holds no scores of which one class wins. maps: what each model says, int [N, *map]."""
    found = original.found
    if found.output_axis is None or found.decided:
        return None
    model, output = sampled(original.model), found.outputs[0]
    session = session_of(model, [output], engine, whole=True)
    parts: dict[str, list[tuple[np.ndarray, ...]]] = {name: [] for name in maps}
    at = 0
    for batch in batches(feeds, batch_size(feeds, size, model.at_once)):
        said = session.run(batch.feeds, [output])[output][: batch.count]
        for scores in np.moveaxis(said, found.output_axis, 1):
            known = (truth[at] >= 0) & ~np.isin(truth[at], forget)
            chances = _chances(scores[:, known].T, found, forget)
            for name, decided in maps.items():
                parts[name].append(_counts(chances, decided[at][known]))
            at += 1
    return {
        name: Counted(*(np.stack(part) for part in zip(*own, strict=True))) for name, own in parts.items()
    }


def _chances(scores: np.ndarray, found: PlaceScores, forget: Sequence[int]) -> np.ndarray:
    """Of each class at each place, [places, classes], none of those to forget. Where classes decide for
    themselves, given that one of them or none is there: e^s of each, and 1 of none."""
    scores = scores.astype(np.float32)
    if "Softmax" in found.behind:
        scores = np.log(np.maximum(scores, _LEAST))
    elif "Sigmoid" in found.behind:
        scores = logit(np.clip(scores, _LEAST, 1 - _LEAST))
    if found.ground is not None:
        scores = np.append(scores, np.full_like(scores[:, :1], found.ground), axis=1)
    scores[:, list(forget)] = -np.inf
    return np.asarray(softmax(scores, axis=1))


def _counts(chances: np.ndarray, decided: np.ndarray) -> tuple[np.ndarray, ...]:
    """As the fields of `Counted`, of one input."""
    classes = chances.shape[1]
    own = chances[np.arange(len(decided)), decided]
    both = np.bincount(decided, weights=own, minlength=classes)
    found = np.bincount(decided, minlength=classes).astype(np.float64)
    return both, found, chances.sum(axis=0, dtype=np.float64), np.zeros(classes)
