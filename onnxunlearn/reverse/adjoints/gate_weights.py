"""The stacked weights of a recurrent node, taken apart by direction and gate."""

from collections.abc import Mapping, Sequence

import numpy as np

from onnxunlearn.reverse.adjoints.site import Site
from onnxunlearn.reverse.expression import Value

#: pre-activations, or signals at them, by the letter of their gate
Gates = Mapping[str, Value]


class Weights:
    """The weights of one direction, by gate; `gates` in the order in which ONNX stacks them.

    late: gates whose recurrent bias is added by `recall`, not by `see`. w, r: [hidden, inputs], and turned.
    """

    def __init__(self, site: Site, gates: str, direction: int, late: str = "") -> None:
        def matrices(index: int, turned: bool = False) -> Gates:
            if index in site.fed:
                fed = zip(
                    gates, _split(site.weight(index), direction, site.shape(index), len(gates)), strict=True
                )
                return {g: p.transpose([1, 0]) if turned else p for g, p in fed}
            stacked = site.constant(index)
            assert stacked is not None
            parts = zip(gates, np.split(stacked[direction].astype(emitter.dtype), len(gates)), strict=True)
            # A tensor at once: looked up once, not at every step, and with a shape even if it is all zero.
            return {g: Value(emitter, variable=emitter.tensor(p.T if turned else p)) for g, p in parts}

        emitter, self.direction = site.emitter, direction
        self.w, self.w_turned = matrices(1), matrices(1, turned=True)
        self.r, self.r_turned = matrices(2), matrices(2, turned=True)
        biases = dict(zip(gates + gates.upper(), vectors(site, 3, direction, 2 * len(gates)), strict=True))
        self.late = {g: biases[g.upper()] if g in late else emitter.zero for g in gates}
        self.early = {g: biases[g] if g in late else biases[g] + biases[g.upper()] for g in gates}

    def see(self, x: Value, gate: str) -> Value:
        return _matmul(x, self.w_turned[gate]) + self.early[gate]

    def recall(self, h: Value, gate: str) -> Value:
        return _matmul(h, self.r_turned[gate]) + self.late[gate]

    def to_x(self, signal: Value, gate: str) -> Value:
        return _matmul(signal, self.w[gate])

    def to_h(self, signal: Value, gate: str) -> Value:
        return _matmul(signal, self.r[gate])


def vectors(site: Site, index: int, direction: int, count: int) -> list[Value]:
    """The `count` vectors that input number `index` holds for a direction; zeros if it is omitted."""
    if index in site.fed:
        return _split(site.weight(index), direction, site.shape(index), count)
    stacked = site.constant(index)
    if stacked is None:
        return [site.emitter.zero] * count
    return [site.emitter.constant(part) for part in np.split(stacked[direction], count)]


def _split(stacked: Value, direction: int, shape: Sequence[int], count: int) -> list[Value]:
    """`count` parts of one direction, of the second of the axes; `shape` is that of all."""
    size, rest = shape[1] // count, shape[2:]
    axes, parts = np.array([0, 1], np.int64), []
    for part in range(count):
        start = np.array([direction, part * size], np.int64)
        end = np.array([direction + 1, (part + 1) * size], np.int64)
        parts.append(stacked.emitter.op("Slice", stacked, start, end, axes).reshape((size, *rest)))
    return parts


def _matmul(a: Value, b: Value) -> Value:
    return a if a.zero else a.emitter.op("MatMul", a, b)
