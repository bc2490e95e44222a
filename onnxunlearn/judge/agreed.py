"""At how many places of inputs that nobody named a model says what the original says."""

from collections.abc import Mapping, Sequence

import numpy as np

from onnxunlearn.judge.placed import Agreed, decided_maps
from onnxunlearn.judge.subject import Subject
from onnxunlearn.probes import Probes, blocks
from onnxunlearn.probes.places import Scenes


def agreed_on(subjects: Mapping[str, Subject], probes: Probes, forget: Sequence[int], seed: int) -> Agreed:
    """probes: perhaps a stream, read once for all models but the mask: a hidden score changes nothing."""
    same: dict[str, list[np.ndarray]] = {name: [] for name in subjects if name != "mask"}
    asked = list[np.ndarray]()
    for feeds in blocks(probes.feeds):
        said = {name: _maps(subjects[name], feeds) for name in same}
        scenes = Scenes(Probes(feeds, None, probes.source), None, given=False).said(said["original"])
        assert scenes.truth is not None
        counts = (scenes.truth >= 0) & ~np.isin(scenes.truth, forget)
        asked.append(_by_input(counts))
        for name, maps in said.items():
            same[name].append(_by_input(counts & (maps == said["original"])))
    every = np.concatenate(asked)
    return Agreed({n: np.concatenate(parts) for n, parts in same.items()}, dict.fromkeys(same, every), seed)


def _maps(subject: Subject, feeds: Mapping[str, np.ndarray]) -> np.ndarray:
    assert subject.whole is not None
    model, found = subject.whole
    return decided_maps(model, found, subject.engine, feeds, subject.batch_size)


def _by_input(places: np.ndarray) -> np.ndarray:
    return np.asarray(places.reshape(len(places), -1).sum(axis=1))
