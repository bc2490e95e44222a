"""How hard a class is drawn, and to what."""

import numpy as np
import pytest

from onnxunlearn.methods.erase.pull import Groups, Strength


def test_the_strength_rises_while_much_is_left_and_falls_back_to_where_it_began() -> None:
    strength = Strength.of(0.1, 200, overlap=0.04, start=1.0)
    assert (strength.least, strength.value) == (0.1, 0.1)
    assert strength.most == pytest.approx(0.3)
    for _ in range(200):
        strength.follow(0.6)
    assert strength.value == strength.most
    for _ in range(400):
        strength.follow(0.1)
    assert strength.value == strength.least
    for _ in range(20):
        strength.follow(0.5)
    assert strength.least < strength.value < strength.most


def test_what_leaves_no_room_or_is_known_from_few_probes_is_drawn_less() -> None:
    apart = Strength.of(0.1, 1000, overlap=0, start=1.0)
    assert apart.least == apart.most == 0.1
    few = Strength.of(0.1, 50, overlap=0.02, start=1.0)
    assert (few.least, few.most) == pytest.approx((0.025, 0.05))
    weak = Strength.of(0.1, 1000, overlap=0.5, start=10.0)
    assert weak.most == pytest.approx(0.4)
    near = Strength.of(0.5, 1000, overlap=0.1, start=0.2)
    assert near.least == near.most < 0.2


def grouped(seed: int = 0) -> tuple[Groups, np.ndarray]:
    """Two classes, three pairs of class and neighbour; a pool of 40 retained samples, twice."""
    classes, neighbours = np.array([0] * 6 + [1] * 4), np.array([3, 3, 3, 4, 4, 4, 4, 4, 4, 4])
    y = np.repeat([2, 3, 4, 5], [10, 2, 18, 10])
    sources = {c: np.flatnonzero(y == c)[:, None] + [0, 40] for c in (2, 3, 4, 5)}
    return Groups(classes, neighbours[None], sources, 64, np.random.default_rng(seed)), y


def test_examples_are_of_the_neighbour_and_of_all_copies() -> None:
    groups, y = grouped()
    drawn = np.stack([groups.draw(10, 1).examples for _ in range(50)])
    assert (y[drawn % 40] == groups.neighbours[0]).all()
    assert drawn.max() >= 40
    assert len(np.unique(drawn[:, 0])) == 4  # both samples of class 3, in two copies


def test_the_distance_is_in_units_of_the_start_and_its_gradient_is_right() -> None:
    groups, _ = grouped()
    rng = np.random.default_rng(1)
    features, pool = rng.normal(size=(10, 5)), rng.normal(3, size=(80, 5))
    groups.count_from(features, pool)
    every = [groups.draw(10, 1) for _ in range(100)]
    drawn = [groups.distance(features, pool[d.examples], d.groups)[0] for d in every]
    assert np.mean(drawn) == pytest.approx(1, rel=0.15)
    examples, moved = pool[every[0].examples], np.zeros_like(features)
    moved[7, 2] = 1e-6

    def at(x: np.ndarray) -> tuple[float, np.ndarray]:
        groups.rng = np.random.default_rng(2)
        return groups.distance(x, examples, every[0].groups)

    slope = (at(features + moved)[0] - at(features - moved)[0]) / 2e-6
    assert slope == pytest.approx(at(features)[1][7, 2], rel=1e-2)
