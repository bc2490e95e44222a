import numpy as np

from onnxunlearn.judge.attacks.attackers.sides import Sides, told
from onnxunlearn.judge.attacks.concept_probe import concept_probe

from ...shared_samples import made
from ..made_shared import shared_evidence


def test_the_probe_finds_what_features_hold_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    count = 200
    shared = np.arange(2 * count) >= count
    probes = made([0, 1] * count, shared.astype(int).tolist(), [*range(count), *range(count)])
    noise = rng.normal(size=(2 * count, 5))
    features = {"original": noise + 3 * shared[:, None], "edited": noise}
    said = {name: np.array([0, 1] * count) for name in features}
    full, few = concept_probe(shared_evidence(probes, said, 2, features))
    for row in (full, few):
        assert (row.values["original"].value or 0) > 95
        assert abs((row.values["edited"].value or 0) - 50) < 12
    assert full.values["edited"].samples == count


def test_partners_never_fit_and_judge() -> None:
    shared = np.arange(40) >= 20
    groups = np.tile(np.arange(20), 2)
    sides = Sides.of(shared, groups, 0)
    assert sides is not None
    assert not set(groups[sides.fitting]) & set(groups[sides.judging])
    assert shared[sides.judging].mean() == 0.5
    few = Sides.of(shared, groups, 0, few=3)
    assert few is not None
    assert len(few.fitting) == 6


def test_too_few_tell_nothing() -> None:
    assert Sides.of(np.array([False, True]), np.arange(2), 0) is None
    assert told(np.zeros((2, 1)), np.array([False, True]), None).value is None
