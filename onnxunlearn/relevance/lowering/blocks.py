"""Quantised weights as the floats they stand for: s·(q − z), with one s and z for all, a channel or a block.

MatMulNBits      x @ wᵀ + bias, w [out, in] in blocks along `in`, its integers packed into bytes

Where integers and scales are stored tensors the constant remembers it (`graph.Quantised`), so that an edit
finds its way back into the file.
"""

from collections.abc import Sequence

import numpy as np

from onnxunlearn.graph import Quantised, StoredTensor, stored_tensor
from onnxunlearn.graph.stored import Step
from onnxunlearn.relevance.lowering.draft import Draft


def quantised(draft: Draft, values: str, scales: Sequence[str], zero: str, axis: int, block: int = 0) -> str:
    """A constant of the floats that the constant `values` stands for; scale and zero for all, for each index
    along `axis`, or for each `block` of them.

    scales: names of what is multiplied. zero: empty if there is none. Declines computed ones.
    """
    model = draft.model
    integers, factors = model.constant(values), [model.constant(name) for name in scales]
    point = model.constant(zero) if zero else None
    draft.require(integers is not None and all(f is not None for f in factors), "computed weights")
    draft.require(point is not None or not zero, "computed zero point")
    assert integers is not None
    steps = [_broadcast(integers.shape, f.shape, axis, block) for f in factors if f is not None]
    z = np.zeros((), np.int32) if point is None else point.astype(np.float64)
    z = _broadcast(integers.shape, z.shape, axis, block)(z)
    found, stored = stored_tensor(model, values), [stored_tensor(model, name) for name in scales]
    if found is not None and all(s is not None for s in stored):
        arranged = [s.then(step) for s, step in zip(stored, steps, strict=True) if s is not None]
        return draft.weight(Quantised(found, tuple(arranged), z))
    product = np.ones(())
    for factor, step in zip(factors, steps, strict=True):
        product = product * step(np.asarray(factor, np.float64))
    return draft.constant((integers.astype(np.float64) - z) * product)


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
    """Requires: 4 or 8 bits, constant weights, no reordering (g_idx).

    Integers lie low half first, [out, blocks, bytes]; the zero point is half the range unless given, as
    float or packed like the weights, [out, blocks].
    """
    node = draft.node
    bits, block = int(node.attribute("bits", 4)), int(node.attribute("block_size"))
    rows, columns = int(node.attribute("N")), int(node.attribute("K"))
    packed, scales, zeros = draft.known(1), draft.known(2), draft.known(3)
    draft.require(bits in {4, 8} and not draft.has(4), "other bits, or reordered")
    draft.require(packed is not None and scales is not None, "computed weights")
    draft.require(zeros is not None or not draft.has(3), "computed zero points")
    assert packed is not None and scales is not None  # noqa: PT018
    blocks = -(-columns // block)
    zero = np.full((rows, blocks), 2.0 ** (bits - 1))
    if zeros is not None:
        given = zeros.reshape(rows, -1)
        zero = (_unpacked(given, bits) if zeros.dtype == np.uint8 else given).astype(np.float64)[:, :blocks]

    def integers_of(array: np.ndarray) -> np.ndarray:
        return array.reshape(rows, blocks, -1)[..., :block].reshape(rows, -1)[:, :columns].T

    def steps_of(array: np.ndarray) -> np.ndarray:
        return np.repeat(array.reshape(rows, blocks), block, axis=1)[:, :columns].T

    found, scale = stored_tensor(draft.model, draft.input(1)), stored_tensor(draft.model, draft.input(2))
    if found is not None and scale is not None and not found.steps:
        one_by_one = (2 * int(np.prod(found.stored_shape)),) if bits == 4 else found.stored_shape
        integers = StoredTensor(found.name, one_by_one, found.readers, (integers_of,))
        packed_shape = found.stored_shape if bits == 4 else None
        floats = Quantised(integers, (scale.then(steps_of),), steps_of(zero), packed_shape)
        weight = draft.weight(floats)
    else:
        whole = integers_of(_unpacked(packed, bits)).astype(np.float64)
        weight = draft.constant((whole - steps_of(zero)) * steps_of(scales.astype(np.float64)))
    y = draft.op("MatMul", draft.input(0), weight, to="" if draft.has(5) else node.outputs[0])
    if draft.has(5):
        draft.op("Add", y, draft.input(5), to=node.outputs[0])


def _unpacked(packed: np.ndarray, bits: int) -> np.ndarray:
    """Integers of a last axis of bytes."""
    if bits == 8:
        return packed
    halves = np.stack([packed & 0xF, packed >> 4], axis=-1)
    return halves.reshape(*packed.shape[:-1], -1)
