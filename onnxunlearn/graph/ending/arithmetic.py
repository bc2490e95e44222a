"""Sums, products and powers of scores with constants, with a number of each sample's own, with each other."""

from collections.abc import Sequence
from dataclasses import replace
from math import exp

import numpy as np

from onnxunlearn.graph.ending.columns import Base, Columns
from onnxunlearn.graph.ending.reader import Reader, reading
from onnxunlearn.graph.ending.readings import Embedding, Plain, Reading, Row, Scores, Square, Uniform
from onnxunlearn.graph.node import Node

#: what is added lest a logarithm or a quotient fails; it is read through
_TINY = 1e-4
#: logarithms beyond that are no one's
_LARGEST = 100

#: an operand: scores, a number a sample, or constants that broadcast
Operand = Scores | Plain | Embedding | Row | np.ndarray


@reading("Add", "Sum")
def add(reader: Reader, node: Node) -> Reading | None:
    return _sum(reader, node, [_operand(reader, name) for name in node.inputs])


@reading("Sub")
def sub(reader: Reader, node: Node) -> Reading | None:
    first, second = (_operand(reader, name) for name in node.inputs)
    return _sum(reader, node, [first, _negated(reader, second)])


@reading("Neg")
def neg(reader: Reader, node: Node) -> Reading | None:
    found = _negated(reader, _operand(reader, node.inputs[0]))
    return found if isinstance(found, Scores | Row) else None


@reading("Mean")
def mean(reader: Reader, node: Node) -> Reading | None:
    parts = [reader.read(name) for name in node.inputs]
    scores = [part for part in parts if isinstance(part, Scores) and not part.log]
    if len(scores) < len(parts):
        return None
    note = f"Mean of {len(parts)}"
    if all(part.curve.shift is not None and part.curve.height == 1 for part in scores):
        return reader.mixture(node, normalised=False, sigmoid=True, note=note)
    if all(part.curve.positive for part in scores):
        return reader.mixture(node, normalised=all(part.normalised for part in scores), note=note)
    return None


@reading("Mul")
def mul(reader: Reader, node: Node) -> Reading | None:
    first, second = (_operand(reader, name) for name in node.inputs)
    if node.inputs[0] == node.inputs[1]:
        return power(reader, node.inputs[0], 2)
    return _product(reader, node, first, second)


@reading("Div")
def div(reader: Reader, node: Node) -> Reading | None:
    first, second = (_operand(reader, name) for name in node.inputs)
    inverted = _inverse(second)
    return None if inverted is None else _product(reader, node, first, inverted)


@reading("Reciprocal")
def reciprocal(reader: Reader, node: Node) -> Reading | None:
    found = _inverse(_operand(reader, node.inputs[0]))
    return found if isinstance(found, Scores | Row) else None


@reading("Pow")
def raise_to(reader: Reader, node: Node) -> Reading | None:
    exponent = reader.uniform(node.inputs[1])
    return None if exponent is None else power(reader, node.inputs[0], exponent)


@reading("Sqrt")
def sqrt(reader: Reader, node: Node) -> Reading | None:
    return power(reader, node.inputs[0], 0.5)


def power(reader: Reader, name: str, exponent: float) -> Reading | None:
    """A tensor to a power."""
    found = reader.read(name)
    if isinstance(found, Row):
        return replace(found, positive=found.positive or exponent % 2 == 0)
    if isinstance(found, Plain):
        return Square(found.same) if exponent == 2 else None
    if isinstance(found, Scores) and found.log:
        return Square(name) if exponent == 2 else None
    if not isinstance(found, Scores) or not found.curve.positive or exponent == 0:
        return None
    settled = found.settled()
    if settled is not None and settled.pure:
        return replace(settled, columns=settled.columns.scaled(exponent), normalised=False)
    return None


def merged(rows: Sequence[Row], positive: bool) -> Row:
    """A number that is made of several of one sample's, and of constants."""

    def all_of(sets: Sequence[frozenset[Base]]) -> frozenset[Base]:
        return frozenset().union(*sets)

    norms: frozenset[str] = frozenset().union(*(row.norms for row in rows))
    return Row(positive, all_of([row.sums for row in rows]), all_of([row.logs for row in rows]), norms)


def _operand(reader: Reader, name: str) -> Operand | None:
    constant = reader.model.constant(name)
    if constant is not None:
        return constant.astype(np.float64) if constant.dtype.kind in "fiu" else None
    found = reader.read(name)
    if isinstance(found, Uniform):
        return np.array(found.value)
    row = reader.row(name)
    return row if row is not None else found if isinstance(found, Scores | Plain | Embedding) else None


def _negated(reader: Reader, found: Operand | None) -> Operand | None:
    """−y."""
    if isinstance(found, np.ndarray):
        return np.asarray(-found)
    if isinstance(found, Row):
        return replace(found, positive=False)
    scores = reader.fresh(found.tensor) if isinstance(found, Plain) else found
    if not isinstance(scores, Scores):
        return None
    if not scores.log:
        return replace(scores, curve=scores.curve.times(-1))
    if scores.pure:
        return replace(scores, columns=scores.columns.scaled(-1))
    return replace(scores, curve=scores.curve.reciprocal())


def _inverse(found: Operand | None) -> Operand | None:
    """1/y."""
    if isinstance(found, np.ndarray):
        return np.asarray(1 / found) if found.all() else None
    if isinstance(found, Row):
        return found
    if isinstance(found, Scores) and not found.log:
        return replace(found, curve=found.curve.reciprocal(), normalised=False)
    return None


def _sum(reader: Reader, node: Node, parts: Sequence[Operand | None]) -> Reading | None:
    constants = np.add.reduce([part for part in parts if isinstance(part, np.ndarray)] or [np.zeros(())])
    rows = [part for part in parts if isinstance(part, Row)]
    scores = [part for part in parts if isinstance(part, Scores | Plain)]
    if any(part is None or isinstance(part, Embedding) for part in parts):
        return None
    if not scores:
        positive = all(row.positive for row in rows) and bool((constants >= 0).all())
        return merged(rows, positive) if constants.size == 1 else None
    if not rows and not any(isinstance(part, Scores) for part in scores):
        return None
    found: Scores | None = None
    for part in scores:
        other = reader.fresh(part.tensor) if isinstance(part, Plain) else part
        found = other if found is None or other is None else _added(reader, node, found, other)
        if found is None:
            return None
    assert found is not None
    if rows:
        if not (found.log and found.pure):
            return None
        normalised = any(row.logs & found.bases for row in rows)
        found = replace(found, rows=found.rows | {node.outputs[0]}, normalised=normalised)
    return _shifted(reader, node, found, constants) if constants.any() else found


def _added(reader: Reader, node: Node, one: Scores, two: Scores) -> Scores | None:
    if one.linear and two.linear:
        columns = one.columns.plus(two.columns)
        notes = (*one.notes, *two.notes)
        return None if columns is None else Scores(columns, rows=one.rows | two.rows, notes=notes)
    if one.log or two.log or not (one.curve.positive and two.curve.positive):
        return None
    return reader.mixture(node, normalised=one.normalised and two.normalised, note="Sum")


def _shifted(reader: Reader, node: Node, found: Scores, by: np.ndarray) -> Scores | None:
    if found.linear:
        return replace(found, columns=found.columns.shifted(by))
    k = float(by.reshape(-1)[0])
    if np.any(by != k):
        return None
    if found.log:
        return replace(found, curve=found.curve.times(exp(k))) if abs(k) < _LARGEST else None
    if found.rows and k > 0 and found.curve.positive:
        if k <= _TINY:
            return found.noted(f"+ {k:.3g}")
        return reader.mixture(node, normalised=found.normalised, note=f"+ {k:.3g}")
    return replace(found, curve=found.curve.plus(k), normalised=False)


def _product(reader: Reader, node: Node, one: Operand | None, two: Operand | None) -> Reading | None:
    if isinstance(one, Row | np.ndarray):
        one, two = two, one
    if one is None or two is None:
        return None
    if isinstance(one, Row) and isinstance(two, Row):
        return merged([one, two], one.positive and two.positive)
    number = float(two.item()) if isinstance(two, np.ndarray) and two.size == 1 else None
    if isinstance(one, Row):
        return None if number is None else merged([one], one.positive and number > 0)
    if isinstance(one, Embedding):
        return one if number is not None and number > 0 else None
    if isinstance(one, Plain):
        return divided(reader, node, one, two) if isinstance(two, Row) else None
    if not isinstance(one, Scores):
        return None
    if isinstance(two, Row) and one.is_positive_log:
        return divided(reader, node, Plain(node.inputs[0], node.inputs[0], True), two)
    if isinstance(two, np.ndarray):
        return _times(one, two)
    return _times_row(node, one, two) if isinstance(two, Row) else _multiplied(one, two)


def divided(reader: Reader, node: Node, found: Plain, row: Row) -> Reading | None:
    """Raw numbers divided by their length, or by their sum: with z = log x, x/Σx is Softmax of z."""
    if found.same in row.norms:
        return Embedding(found.same, str(node))
    base = Base(found.same, "log")
    columns = reader.columns(base) if base in row.sums else None
    if columns is None:
        return None
    rows, notes = frozenset({node.outputs[0]}), ("divided by their sum",)
    return Scores(columns, log=False, rows=rows, normalised=True, notes=notes)


def _times(found: Scores, factor: np.ndarray) -> Scores | None:
    if not factor.all():
        return None
    k = float(factor.reshape(-1)[0])
    uniform = bool(np.all(factor == k))
    if uniform and k == 1:
        return found
    if found.linear:  # what a sample adds to all classes stays the same for all
        return replace(found, columns=found.columns.scaled(factor)) if uniform or not found.rows else None
    if not uniform:
        if found.log or not found.curve.is_exponential or not (factor > 0).all():
            return None
        return replace(found, columns=found.columns.shifted(np.log(factor)), normalised=False)
    if found.log:
        return replace(found, curve=found.curve.reciprocal()) if k == -1 else None
    if found.normalised and k > 0:
        return found.noted(f"× {k:.3g}")
    return replace(found, curve=found.curve.times(k))


def _times_row(node: Node, found: Scores, row: Row) -> Scores | None:
    settled = found.settled() if row.positive and not found.log else None
    if settled is None or not settled.pure:
        return None
    normalised = bool(row.sums & settled.bases)
    return replace(settled, rows=settled.rows | {node.outputs[0]}, normalised=normalised)


def _multiplied(one: Scores, two: Operand) -> Scores | None:
    if not isinstance(two, Scores) or one.log or two.log:
        return None
    if one.pure and two.pure:
        columns = one.columns.plus(two.columns)
        return None if columns is None else Scores(columns, log=False, rows=one.rows | two.rows)
    if one.rows or two.rows:
        return None
    if alike(one.columns, two.columns.scaled(-1)):
        two = replace(two, columns=one.columns, curve=two.curve.of_negative())
    if not alike(one.columns, two.columns):
        return None
    curve = one.curve.multiplied(two.curve)
    return None if curve is None else Scores(one.columns, curve, log=False)


def alike(one: Columns, two: Columns) -> bool:
    if one.terms.keys() != two.terms.keys() or not np.array_equal(one.offset, two.offset):
        return False
    pairs = [(a, b) for base in one.terms for a, b in zip(one.terms[base], two.terms[base], strict=True)]
    return all(np.array_equal(a, b) for a, b in pairs)
