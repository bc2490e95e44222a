"""Which retained samples a sample to forget is drawn to."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from onnxunlearn.methods.erase.boundary import Boundary, Pool
from onnxunlearn.methods.erase.counterparts import Counterparts
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.probes.probes import OTHER

from ...shared_samples import made


def counterparts(y: list[int], pair: list[int], pinned: list[int], scores: np.ndarray) -> Counterparts:
    """Of four samples without it and three with it."""
    probes = made(y, [0] * 4 + [1] * 3, pair)
    bench = cast(
        Workbench,
        SimpleNamespace(probes=probes, forgotten=probes.shared, y=probes.y, before=scores),
    )
    kept = np.array(pinned, bool)
    count = int(kept.sum())
    feeds: dict[str, Any] = {"x": np.zeros((count, 1), np.float32)}
    pool = Pool(feeds, np.zeros(0, int), np.zeros(0, int), np.zeros(0, np.float32))
    boundary = Boundary([feeds], pool, 1, np.array(y)[kept], np.zeros(0, int))
    return Counterparts.of_samples(bench, boundary, kept)


SCORES = np.eye(3)[[0, 1, 1, 2, 2, 2, 2]] + 0.1 * np.eye(3)[[1, 0, 2, 1, 0, 1, 1]]


def examples(found: Counterparts) -> list[list[int]]:
    return [sorted(found.sources[int(near)][:, 0].tolist()) for near in found.near]


def test_a_partner_in_the_pool_is_the_example() -> None:
    found = counterparts([0, 1, 1, 2, 0, 1, 1], [0, 1, 2, -1, 0, 1, 2], [1, 1, 1, 1, 0, 0, 0], SCORES)
    assert examples(found) == [[0], [1], [2]]


def test_where_the_partner_decides_it_is_those_of_its_class() -> None:
    found = counterparts([0, 1, 1, 2, 0, 1, 1], [0, 1, 2, -1, 0, 1, 2], [1, 0, 1, 1, 0, 0, 0], SCORES)
    assert examples(found) == [[0], [1], [1]]  # places in the pool, which lacks sample 1


def test_where_no_class_is_known_it_is_all_that_lack_it_but_what_is_only_retained() -> None:
    pair = [-1, -1, -1, OTHER, -1, -1, -1]
    found = counterparts([0, 1, 1, 2, -1, -1, 1], pair, [1, 1, 1, 1, 0, 0, 0], SCORES)
    assert examples(found) == [[0, 1, 2], [0, 1, 2], [1, 2]]


def test_logits_that_tell_are_those_of_the_answer_and_of_what_is_right_or_next() -> None:
    found = counterparts([0, 1, 1, 2, 0, 2, -1], [-1] * 7, [1, 1, 1, 1, 0, 0, 0], SCORES)
    assert found.against.tolist() == [[2, 2, 2], [0, 1, 1]]
