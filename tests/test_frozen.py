"""Read-only values: nothing inside can be changed, and they pass for what they are."""

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from onnxunlearn.frozen import frozen, plain

VALUE = {"a": [1, {"b": 2}], "c": (3, [4])}


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.update(a=1),
        lambda v: v.pop("a"),
        lambda v: v.__setitem__("a", 1),
        lambda v: v.__ior__({"a": 1}),
        lambda v: v.setdefault("d", 1),
        lambda v: v["a"].append(1),
        lambda v: v["a"].__iadd__([1]),
        lambda v: v["a"].sort(),
        lambda v: v["a"].__delitem__(0),
        lambda v: v["a"][1].clear(),
        lambda v: v["c"][1].insert(0, 1),
    ],
)
def test_nothing_changes_at_any_depth(change: Callable[[Any], Any]) -> None:
    value = frozen(VALUE)
    with pytest.raises(TypeError, match="a result cannot be changed"):
        change(value)
    assert value == VALUE


@pytest.mark.parametrize("through", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v)), frozen])
def test_copies_are_the_same(through: Callable[[Any], Any]) -> None:
    value = through(frozen(VALUE))
    assert value == VALUE
    with pytest.raises(TypeError, match="cannot be changed"):
        value["a"].append(1)
    assert json.loads(json.dumps(value)) == json.loads(json.dumps(VALUE))


def test_it_is_a_copy_and_a_plain_one_can_be_changed() -> None:
    given: dict[str, Any] = {"a": [1], "x": np.zeros(2)}
    value = frozen(given)
    given["a"].append(2)
    assert value["a"] == [1]
    with pytest.raises(ValueError, match="read-only"):
        value["x"][0] = 1
    changed = plain(value)
    changed["a"].append(3)
    changed["x"][0] = 1
    assert (value["a"], value["x"][0]) == ([1], 0)
