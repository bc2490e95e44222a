"""What models say at all places of whole inputs."""

from collections.abc import Mapping, Sequence

import numpy as np

from onnxunlearn.graph.places import PlaceScores
from onnxunlearn.judge import Placed, Subject, agreed_on, believed_counts, decided_maps
from onnxunlearn.probes import Probes
from onnxunlearn.probes.places import Scenes


def maps_of(subject: Subject, scenes: Scenes, hide: Sequence[int] = ()) -> np.ndarray:
    """What a model says at all places of its output. hide: classes that it may not say."""
    assert subject.whole is not None
    return decided_maps(*subject.whole, subject.engine, scenes.probes.feeds, subject.batch_size, hide)


def placed_by(
    found: PlaceScores,
    subjects: Mapping[str, Subject],
    scenes: Scenes,
    forget: tuple[int, ...],
    background: int | None,
    seed: int,
    unnamed: Probes | None = None,
) -> Placed:
    """What all these models say of the inputs that judge. unnamed: others, at whose places nothing is to
    change."""
    assert scenes.truth is not None
    maps = {}
    for name, subject in subjects.items():
        hidden = forget if subject.hide is not None else ()
        if hidden and found.decided:
            continue  # a mask that is no edit, behind an output that holds no scores
        known = scenes.maps if name == "original" else None
        maps[name] = maps_of(subject, scenes, hidden) if known is None else known
    agreed = None if unnamed is None or not len(unnamed) else agreed_on(subjects, unnamed, forget, seed)
    believed, original = None, subjects["original"]
    if not scenes.given and original.whole is not None:
        how = original.engine, scenes.probes.feeds, original.batch_size
        believed = believed_counts(original.whole, *how, maps, scenes.truth, forget)
    return Placed(found, forget, scenes.truth, maps, background, seed, agreed, believed)
