"""Quantised weights as the floats they stand for: s·(q − z), with one s and z for all, a channel or a block.

MatMulNBits      x @ wᵀ + bias, w [out, in] in blocks along `in`, its integers packed into bytes

Where integers and scales are stored tensors the constant remembers it (`graph.Quantised`), so that an edit
finds its way back into the file.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx

from onnxunlearn.graph import FakeQuantised, Quantised, StoredTensor, stored_tensor
from onnxunlearn.graph.stored import Step
from onnxunlearn.lowering.draft import Draft


def quantised(draft: Draft, values: str, scales: Sequence[str], zero: str, axis: int, block: int = 0) -> str:
    """A constant of the floats that `floats_of` describes."""
    return draft.weight(floats_of(draft, values, scales, zero, axis, block))


def stored_floats(draft: Draft, index: int) -> Quantised | np.ndarray:
    """Input number `index`: floats as they are stored, or as constants make them. Declines others."""
    value = draft.known(index)
    draft.require(value is not None, "computed weights")
    assert value is not None
    found = stored_tensor(draft.model, draft.input(index))
    return value if found is None else Quantised(found, (), np.zeros(()))


def cut(floats: Quantised | np.ndarray, ends: Sequence[int]) -> list[Quantised | np.ndarray]:
    """Parts of the last axis, each up to one of `ends`."""
    spans = list(zip([0, *ends], ends, strict=False))
    if isinstance(floats, Quantised):
        return [floats.part(start, stop) for start, stop in spans]
    return [floats[..., start:stop] for start, stop in spans]


def floats_of(
    draft: Draft, values: str, scales: Sequence[str], zero: str, axis: int, block: int = 0
) -> Quantised | np.ndarray:
    """The floats that the constant `values` stands for; scale and zero for all, for each index along `axis`,
    or for each `block` of them. An array where they are not stored.

    scales: names of what is multiplied. zero: empty if there is none. Declines computed ones.
    """
    model = draft.model
    integers, factors = model.constant(values), [model.constant(name) for name in scales]
    point = model.constant(zero) if zero else None
    draft.require(integers is not None and all(f is not None for f in factors), "computed weights")
    draft.require(point is not None or not zero, "computed zero point")
    assert integers is not None
    steps = [_broadcast(integers.shape, f.shape, axis, block) for f in factors if f is not None]
    z = np.zeros(()) if point is None else point
    centre = _broadcast(integers.shape, z.shape, axis, block)
    found, stored = stored_tensor(model, values), [stored_tensor(model, name) for name in scales]
    quantiser = model.producer.get(values)
    simulated = found is None and quantiser is not None and quantiser.kind == "QuantizeLinear"
    if simulated and quantiser is not None and [*scales] == [quantiser.inputs[1]]:
        found = stored_tensor(model, quantiser.inputs[0])
    stored_zero = stored_tensor(model, zero) if zero else None
    if found is not None and all(s is not None for s in stored):
        arranged = [s.then(step) for s, step in zip(stored, steps, strict=True) if s is not None]
        points = centre(z.astype(np.float64)) if stored_zero is None else stored_zero.then(centre)
        if simulated:
            return FakeQuantised(found, tuple(arranged), points, integers.dtype)
        return Quantised(found, tuple(arranged), points)
    product = np.ones(())
    for factor, step in zip(factors, steps, strict=True):
        product = product * step(np.asarray(factor, np.float64))
    return np.asarray((integers.astype(np.float64) - centre(z.astype(np.float64))) * product)


def _broadcast(shape: tuple[int, ...], given: tuple[int, ...], axis: int, block: int) -> Step:
    """What makes a scale or zero point of shape `given` broadcast to integers of this shape."""
    if int(np.prod(given)) == 1:
        return lambda array: array.reshape((1,) * len(shape))
    if block and len(given) == len(shape):
        return lambda array: np.repeat(array, block, axis).take(range(shape[axis]), axis)
    wanted = [1] * len(shape)
    wanted[axis] = -1
    return lambda array: array.reshape(wanted)


def matmul_n_bits(draft: Draft) -> None:
    """Requires: 4 or 8 bits, stored weights, no reordering (g_idx).

    Integers lie low half first, [out, blocks, bytes]; the zero point is half the range unless given, as
    float or packed like the weights, [out, blocks].
    """
    node = draft.node
    bits, block = int(node.attribute("bits", 4)), int(node.attribute("block_size"))
    rows, columns = int(node.attribute("N")), int(node.attribute("K"))
    draft.require(bits in {4, 8} and not draft.has(4), "other bits, or reordered")
    blocks = -(-columns // block)

    def per_integer(array: np.ndarray) -> np.ndarray:
        return array.reshape(rows, blocks, -1)[..., :block].reshape(rows, -1)[:, :columns].T

    def per_block(array: np.ndarray) -> np.ndarray:
        return np.repeat(array.reshape(rows, -1)[:, :blocks], block, axis=1)[:, :columns].T

    def part(index: int, step: Step) -> StoredTensor | None:
        if not draft.has(index):
            return None
        found = stored_tensor(draft.model, draft.input(index))
        draft.require(found is not None, "computed weights")
        assert found is not None
        packed = bits == 4 and draft.model.stored[found.name].data_type == onnx.TensorProto.UINT8
        draft.require(not packed or not found.steps, "rearranged bytes")
        return replace(found, packed=packed).then(step)

    integers, scale, zero = part(1, per_integer), part(2, per_block), part(3, per_block)
    assert integers is not None and scale is not None  # noqa: PT018
    middle = np.full((1, 1), 2.0 ** (bits - 1))
    weight = draft.weight(Quantised(integers, (scale,), middle if zero is None else zero))
    y = draft.op("MatMul", draft.input(0), weight, to="" if draft.has(5) else node.outputs[0])
    if draft.has(5):
        draft.op("Add", y, draft.input(5), to=node.outputs[0])


def dynamic_quantize_lstm(draft: Draft) -> None:
    """LSTM with weights [directions, inputs, 4 · hidden] of bytes, a scale for each direction or column."""
    weights = []
    for values, scale in ((1, 8), (2, 10)):
        q, s, zero = draft.known(values), draft.known(scale), draft.known(scale + 1)
        draft.require(q is not None and s is not None, "computed weights")
        assert q is not None and s is not None  # noqa: PT018
        shape = (len(q), 1, -1)
        centred = q.astype(np.float32) - (0 if zero is None else zero.astype(np.float32).reshape(shape))
        weights.append(draft.constant((centred * s.reshape(shape)).transpose(0, 2, 1)))
    others = [draft.input(i) for i in range(3, 8)]
    outputs = [name if draft.used(i) else "" for i, name in enumerate(draft.node.outputs)]
    draft.made.append(
        onnx.helper.make_node(
            "LSTM", [draft.input(0), *weights, *others], outputs, name=outputs[0], **draft.node.attributes
        )
    )
