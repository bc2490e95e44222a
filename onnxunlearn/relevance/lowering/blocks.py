"""Quantised weights as the floats they stand for: s·(q − z), with one s and z for all, a channel or a block.

MatMulNBits      x @ wᵀ + bias, w [out, in] in blocks along `in`, its integers packed into bytes
"""

import numpy as np
import onnx

from onnxunlearn.relevance.lowering.draft import Draft


def scaled(values: np.ndarray, scale: np.ndarray, zero: np.ndarray | None, axis: int) -> np.ndarray:
    """s·(q − z) with a scale (and zero point) for all or for each index along `axis`; float32."""
    shape = [1] * values.ndim
    if scale.size != 1:
        shape[axis] = -1
    centred = values.astype(np.float32)
    if zero is not None:
        centred -= zero.astype(np.float32).reshape(shape if zero.size != 1 else [1] * values.ndim)
    return np.asarray(centred * scale.astype(np.float32).reshape(shape), np.float32)


def dequantised(
    values: np.ndarray, scale: np.ndarray, zero: np.ndarray | None, axis: int, block: int
) -> np.ndarray:
    """What DequantizeLinear makes of constants. Requires: `block` (0: none) divides or ends the axis."""
    if scale.ndim == values.ndim and scale.ndim > 1 and block:
        size = values.shape[axis]
        scale = np.repeat(scale, block, axis).take(range(size), axis)
        wide = None if zero is None else np.repeat(zero, block, axis).take(range(size), axis)
        centred = values.astype(np.float32) - (0 if wide is None else wide.astype(np.float32))
        return np.asarray(centred * scale.astype(np.float32), np.float32)
    return scaled(values, scale, zero, axis)


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
    integers = _unpacked(packed.reshape(rows, blocks, -1), bits)[..., :block]
    zero: np.ndarray | float = 2.0 ** (bits - 1)
    if zeros is not None:
        given = zeros.reshape(rows, -1)
        given = _unpacked(given, bits)[:, :blocks] if zeros.dtype == np.uint8 else given
        zero = given.astype(np.float32)[..., None]
    steps = scales.astype(np.float32).reshape(rows, blocks, 1)
    weight = ((integers.astype(np.float32) - zero) * steps).reshape(rows, -1)[:, :columns]
    y = draft.op(
        "MatMul", draft.input(0), draft.constant(weight.T), to="" if draft.has(5) else node.outputs[0]
    )
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


def _unpacked(packed: np.ndarray, bits: int) -> np.ndarray:
    """Integers of a last axis of bytes."""
    if bits == 8:
        return packed
    halves = np.stack([packed & 0xF, packed >> 4], axis=-1)
    return halves.reshape(*packed.shape[:-1], -1)
