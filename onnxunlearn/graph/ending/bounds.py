"""Clip, Max, Min, Where and the like: what keeps probabilities within bounds, or numbers finite."""

from collections.abc import Sequence
from dataclasses import replace
from math import log

from onnxunlearn.graph.ending.arithmetic import alike, merged
from onnxunlearn.graph.ending.reader import Reader, reading
from onnxunlearn.graph.ending.readings import Reading, Row, Scores, Uniform
from onnxunlearn.graph.node import Node

#: how far from 0 and from 1 bounds of probabilities may be
_CLOSE = 1e-3

_COMPARISONS = frozenset({"IsNaN", "IsInf", "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"})
_CONNECTIVES = frozenset({"Not", "And", "Or", "Identity"})


@reading("Clip")
def clip(reader: Reader, node: Node) -> Reading | None:
    """Of probabilities and their logarithms it is read through; raw scores become others."""
    found = reader.read(node.inputs[0])
    low, high = (_bound(reader, node, place, name) for place, name in ((1, "min"), (2, "max")))
    if isinstance(found, Row):
        return replace(found, positive=found.positive or (low is not None and low > 0))
    return _bounded(
        found, low, high, "Clip " + "…".join("" if b is None else f"{b:.3g}" for b in (low, high))
    )


@reading("Max", "Min")
def extreme(reader: Reader, node: Node) -> Reading | None:
    """With a constant as Clip."""
    found = [reader.read(name) for name in node.inputs]
    bounds = [part.value for part in found if isinstance(part, Uniform)]
    others = [part for part in found if not isinstance(part, Uniform)]
    rows = [part for part in others if isinstance(part, Row)]
    if rows and len(rows) == len(others):
        above = node.kind == "Max" and any(bound > 0 for bound in bounds)
        return merged(rows, positive=above or all(row.positive for row in rows))
    if len(others) != 1 or not bounds:
        return None
    low, high = (max(bounds), None) if node.kind == "Max" else (None, min(bounds))
    return _bounded(others[0], low, high, f"{node.kind} {', '.join(f'{bound:.3g}' for bound in bounds)}")


@reading("Where")
def where(reader: Reader, node: Node) -> Reading | None:
    """What stands in for numbers that are none, or for a sum of 0, is read through."""
    condition, *branches = node.inputs
    found = [reader.read(name) for name in branches]
    rows = [row for name in branches if (row := reader.row(name)) is not None]
    chosen = [part for part in found if not isinstance(part, Uniform)]
    if len(rows) == len(branches) and chosen:
        return merged(rows, positive=all(row.positive for row in rows))
    if not _compares(reader, condition):
        return None
    if len(chosen) == 1 and isinstance(chosen[0], Scores):
        return chosen[0]
    return _softplus(reader, branches)


def _softplus(reader: Reader, branches: Sequence[str]) -> Scores | None:
    """log(1 + eᶻ), and z where that is the same in float32."""
    both = [reader.scores(name) for name in branches]
    curved = next((part for part in both if part is not None and part.is_positive_log), None)
    straight = next((part for part in both if part is not None and part.linear and not part.rows), None)
    return curved if curved and straight and alike(curved.columns, straight.columns) else None


@reading("Abs")
def absolute(reader: Reader, node: Node) -> Reading | None:
    found = reader.read(node.inputs[0])
    return replace(found, positive=True) if isinstance(found, Row) else _if_positive(found)


@reading("Relu")
def relu(reader: Reader, node: Node) -> Reading | None:
    found = reader.read(node.inputs[0])
    return found if isinstance(found, Row) else _if_positive(found)


def _bound(reader: Reader, node: Node, place: int, name: str) -> float | None:
    if len(node.inputs) > place:
        return reader.uniform(node.inputs[place]) if node.inputs[place] else None
    value = node.attribute(name)
    return None if value is None else float(value)


def _bounded(found: Reading, low: float | None, high: float | None, note: str) -> Scores | None:
    """Scores within bounds, if these are hardly narrower than what probabilities are within anyway."""
    if not isinstance(found, Scores) or not (found.normalised or found.curve.shift is not None):
        return _if_positive(found) if high is None and low is not None and low <= 0 else None
    least, most = (log(_CLOSE), log(1 - _CLOSE)) if found.log else (_CLOSE, 1 - _CLOSE)
    top = 1.0 if found.log or found.pure else found.curve.height
    if (low is not None and low > least * top) or (high is not None and high < most * top):
        return None
    return found.noted(note)


def _if_positive(found: Reading) -> Scores | None:
    """What leaves numbers above 0 alone."""
    return found if isinstance(found, Scores) and not found.log and found.curve.positive else None


def _compares(reader: Reader, condition: str) -> bool:
    """Whether a condition asks for numbers that are none, or too large or small."""
    waiting, asked = [condition], False
    while waiting:
        node = reader.model.producer.get(waiting.pop())
        if node is None or node.kind not in _COMPARISONS | _CONNECTIVES:
            continue
        asked = True
        waiting += node.inputs if node.kind in _CONNECTIVES else ()
    return asked
