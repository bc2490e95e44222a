"""Integer arithmetic as float arithmetic on what the integers stand for: s·(q − z), s the scale, z the zero.

    QLinear…(a, sa, za, b, sb, zb, sy, zy)   Q(op(D(a), D(b)))      D = DequantizeLinear, Q = QuantizeLinear
    QuantizeLinear(x, s, least)              Q(Clip(x, 0, s·(greatest − least)))
    DynamicQuantizeLinear(x)                 q = Q(x, s, z),  s = (max − min)/255,  z = round(−min/s)
    MatMulInteger(q, w, z, zw) · (s·sw)      D(q, s, z) @ sw·(w − zw)
    DequantizeLinear(w) of a constant        the constant s·(w − z)

The Clip makes visible what saturation hides, a ReLU (or ReLU6) fused into a quantisation; only where z is the
least integer, since anything else is no activation but the end of a calibrated range, which a signal passes.
Its bounds lie where rounding still ends at the same integers: just below 0, so that a signal passes a 0 that
is only rounded (a real ReLU stops it itself), and half a step above the greatest.
"""

from collections.abc import Callable

import numpy as np
import onnx

from onnxunlearn.graph import Model, Node
from onnxunlearn.lowering.blocks import (
    dynamic_quantize_lstm,
    floats_of,
    matmul_n_bits,
    quantised,
    stored_floats,
)
from onnxunlearn.lowering.contract import lowering_pass
from onnxunlearn.lowering.draft import Draft, Lowering, rewrite
from onnxunlearn.lowering.fused_attention import attend
from onnxunlearn.lowering.half import single
from onnxunlearn.lowering.listed_inputs import unlisted
from onnxunlearn.lowering.sparse import dense

#: of a step
_TINY = 2.0**-10


@lowering_pass("dequantise", requires=[unlisted, dense, single])
def dequantise(model: Model) -> Model:
    """The model in float ops between DequantizeLinear and QuantizeLinear; the model itself if it is float.

    Requires: constant scales, but for dynamic quantisation. Ensures: outputs of replaced nodes keep their
    names, integer tensors their integers (up to ties in rounding). What it cannot cover stays as it is.
    """
    # What one round makes plain may tell a rank that another node waits for.
    while (plainer := rewrite(model, LOWERINGS)) is not model:
        model = plainer
    return model


def _input(draft: Draft, at: int, scale: int | None = None, zero: int | None = None) -> str:
    """The float value of quantised input number `at`; scale and zero point follow it unless told."""
    scale, zero = at + 1 if scale is None else scale, at + 2 if zero is None else zero
    if draft.known(at) is not None:
        return quantised(draft, draft.input(at), [draft.input(scale)], draft.input(zero), axis=-1)
    key = tuple(draft.input(i) for i in (at, scale, zero))
    if key not in draft.shared:
        parameters = [_scalar(draft, scale), *([_scalar(draft, zero)] if draft.has(zero) else [])]
        draft.shared[key] = draft.op("DequantizeLinear", draft.input(at), *parameters)
    return draft.shared[key]


def _scalar(draft: Draft, index: int) -> str:
    """One-element parameters as scalars, which every version of the ops takes."""
    value = draft.known(index)
    if value is None or value.size != 1 or value.ndim == 0:
        return draft.input(index)
    return draft.constant(value.reshape(()), value.dtype)


def _output(draft: Draft, y: str, scale: int, zero: int) -> None:
    """y quantised, as the node's output."""
    s, z = draft.known(scale), draft.known(zero)
    draft.require(s is not None and s.size == 1, "computed or several scales")
    draft.require(not draft.has(zero) or z is not None, "computed zero point")
    assert s is not None
    z = np.zeros((), np.uint8) if z is None else z.reshape(())
    step = float(s.item())
    if _is_least(z):
        y = draft.clip(y, -_TINY * step, (np.iinfo(z.dtype).max - int(z) + 0.5) * step)
    parameters = draft.constant(s.reshape(())), draft.constant(z, z.dtype)
    draft.op("QuantizeLinear", y, *parameters, to=draft.node.outputs[0])


def _is_least(zero: np.ndarray) -> bool:
    return zero.size == 1 and int(zero.item()) == np.iinfo(zero.dtype).min


def quantize_linear(draft: Draft) -> None:
    """Requires: one scale, an 8-bit (or, as the standard does, wider) zero point."""
    draft.require(draft.input(0) in draft.model.activations, "a constant")
    producer = draft.model.producer.get(draft.input(0))
    draft.require(producer is None or producer.kind not in {"Relu", "Clip"}, "nothing is hidden")
    zero = draft.known(2)
    draft.require(zero is None or zero.dtype.kind in "iu", "not integer")
    draft.require(zero is None or zero.dtype.itemsize == 1 or draft.opset >= 21, "16 bits before opset 21")
    draft.require(not draft.node.attribute("output_dtype", 0) or zero is not None, "type by attribute")
    draft.require(draft.node.domain or zero is None or _is_least(zero), "nothing is hidden")
    _output(draft, draft.input(0), 1, 2)


def dequantize_linear(draft: Draft) -> None:
    """Folds constants; the rest stays, in the standard domain."""
    to = draft.node.outputs[0]
    if draft.known(0) is not None and draft.known(1) is not None:
        axis, block = draft.node.attribute("axis", 1), draft.node.attribute("block_size", 0)
        floats = quantised(draft, draft.input(0), [draft.input(1)], draft.input(2), axis, block)
        draft.op("Identity", floats, to=to)
        return
    draft.require(draft.node.domain, "already standard")
    zero = draft.known(2)
    draft.require(zero is not None and zero.dtype.itemsize == 1, "16 bits")
    draft.op("DequantizeLinear", draft.input(0), _scalar(draft, 1), _scalar(draft, 2), to=to)


def qlinear_conv(draft: Draft) -> None:
    """ONNX Runtime's own may have the channels of x and y last; the weight is as ever."""
    last = bool(draft.node.attribute("channels_last", 0))
    x_scale, w_scale, integers = draft.input(1), draft.input(4), draft.known(3)
    draft.require(integers is not None, "computed weights")
    assert integers is not None
    rank, x = integers.ndim, _input(draft, 0)
    weight = quantised(draft, draft.input(3), [w_scale], draft.input(5), axis=0)
    operands = [draft.channels_first(x, rank) if last else x, weight]
    if draft.has(8):
        operands.append(quantised(draft, draft.input(8), [x_scale, w_scale], "", axis=0))
    attributes = {k: v for k, v in draft.node.attributes.items() if k != "channels_last"}
    y = draft.op("Conv", *operands, **attributes)
    _output(draft, draft.channels_last(y, rank) if last else y, 6, 7)


def qlinear_matmul(draft: Draft) -> None:
    _output(draft, draft.op("MatMul", _input(draft, 0), _input(draft, 3)), 6, 7)


def qgemm(draft: Draft) -> None:
    """alpha·a·b + c, where c counts in steps of alpha·sa·sb."""
    a_scale, b_scale, node = draft.input(1), draft.input(4), draft.node
    alpha, transposed = float(node.attribute("alpha", 1.0)), int(node.attribute("transB", 0))
    w = quantised(draft, draft.input(3), [b_scale], draft.input(5), axis=0 if transposed else -1)
    operands = [_input(draft, 0), w]
    if draft.has(6):
        operands.append(quantised(draft, draft.input(6), [a_scale, b_scale], "", axis=0))
    to = "" if draft.has(7) else node.outputs[0]
    transposes = {"transA": int(node.attribute("transA", 0)), "transB": transposed}
    # c counts in steps of alpha too
    y = draft.op("Gemm", *operands, to=to, alpha=alpha, beta=alpha, **transposes)
    if draft.has(7):
        _output(draft, y, 7, 8)


def qlinear_binary(kind: str) -> Lowering:
    """QLinearAdd, QLinearMul."""
    return lambda draft: _output(draft, draft.op(kind, _input(draft, 0), _input(draft, 3)), 6, 7)


def qlinear_unary(kind: str) -> Lowering:
    """QLinear… of one input, the attributes those of the float op."""

    def lowering(draft: Draft) -> None:
        node, last = draft.node, bool(draft.node.attribute("channels_last", 0))
        rank = draft.rank(0) or 0
        draft.require(rank or not last, "unknown rank")
        if kind == "Softmax":  # before opset 13 it flattens first
            flattens = (int(node.attribute("opset", 13)) < 13) != (draft.opset < 13)
            draft.require(not flattens or node.attribute("axis", -1) == -1, "another opset's axis")
        attributes = {k: v for k, v in node.attributes.items() if k not in {"channels_last", "opset"}}
        x = _input(draft, 0)
        y = draft.op(kind, draft.channels_first(x, rank) if last else x, **attributes)
        _output(draft, draft.channels_last(y, rank) if last else y, 3, 4)

    return lowering


def nhwc_max_pool(draft: Draft) -> None:
    rank = draft.rank(0) or 0
    draft.require(rank, "unknown rank")
    y = draft.op("MaxPool", draft.channels_first(draft.input(0), rank), **draft.node.attributes)
    draft.channels_last(y, rank, to=draft.node.outputs[0])


def qlinear_concat(draft: Draft) -> None:
    parts = [_input(draft, at) for at in range(2, len(draft.node.inputs), 3)]
    _output(draft, draft.op("Concat", *parts, axis=draft.node.attribute("axis")), 0, 1)


def _dynamic(draft: Draft, x: str, outputs: tuple[str, str, str]) -> tuple[str, str, str]:
    """x quantised to its own range, which includes 0: (integers, scale, zero point), named `outputs`."""
    zero = draft.constant(0)
    least = draft.op("Min", draft.op("ReduceMin", x, keepdims=0), zero)
    most = draft.op("Max", draft.op("ReduceMax", x, keepdims=0), zero)
    scale = draft.op("Div", draft.op("Sub", most, least), draft.constant(255), to=outputs[1])
    start = draft.op("Round", draft.op("Div", draft.op("Sub", zero, least), scale))
    point = draft.cast(draft.clip(start, 0, 255), onnx.TensorProto.UINT8, to=outputs[2])
    return draft.op("QuantizeLinear", x, scale, point, to=outputs[0]), scale, point


def dynamic_quantize_linear(draft: Draft) -> None:
    q, scale, zero = draft.node.outputs
    _dynamic(draft, draft.input(0), (q, scale, zero))


def dynamic_quantize_matmul(draft: Draft) -> None:
    q, scale, zero = _dynamic(draft, draft.input(0), ("", "", ""))
    a = draft.op("DequantizeLinear", q, scale, zero)
    _matmul(draft, a, _input(draft, 1, 2, 3), 4)


def matmul_integer_to_float(draft: Draft) -> None:
    _matmul(draft, _input(draft, 0, 2, 4), _input(draft, 1, 3, 5), 6)


def _matmul(draft: Draft, a: str, b: str, bias: int) -> None:
    y = draft.op("MatMul", a, b, to="" if draft.has(bias) else draft.node.outputs[0])
    if draft.has(bias):
        draft.op("Add", y, draft.input(bias), to=draft.node.outputs[0])


def integer_product(draft: Draft) -> None:
    """The Mul that ends MatMulInteger or ConvInteger → Cast → · (activation scale · weight scale)."""
    model = draft.model
    for counted, scales in (draft.node.inputs, draft.node.inputs[::-1]):
        cast, both = model.producer.get(counted), model.producer.get(scales)
        product = model.producer.get(cast.inputs[0]) if cast is not None and cast.kind == "Cast" else None
        if product is None or product.kind not in {"MatMulInteger", "ConvInteger"}:
            continue
        if both is None or both.kind != "Mul":
            continue
        for x_scale, w_scale in (both.inputs, both.inputs[::-1]):
            s, w = model.constant(w_scale), model.constant(product.inputs[1])
            # of two constant scales (an embedding's bytes are the input) the first is the input's
            of_input = x_scale in model.activations or (
                scales not in model.activations and x_scale == both.inputs[0]
            )
            if s is not None and w is not None and of_input:
                _product(draft, product, x_scale, w_scale, s)
                return
    draft.require(False, "an ordinary product")


def _product(draft: Draft, product: Node, x_scale: str, w_scale: str, scale: np.ndarray) -> None:
    conv = product.kind == "ConvInteger"
    draft.require(scale.size == 1 or (not conv and scale.ndim == 1), "scales of another layout")
    x_zero, w_zero = (*product.inputs[2:], "", "")[:2]
    x = draft.op("DequantizeLinear", product.inputs[0], x_scale, *([x_zero] if x_zero else []))
    w = quantised(draft, product.inputs[1], [w_scale], w_zero, axis=0 if conv else -1)
    draft.layer_name = product.name
    attributes = product.attributes if conv else {}
    draft.op("Conv" if conv else "MatMul", x, w, to=draft.node.outputs[0], **attributes)


def quantised_attention(draft: Draft) -> None:
    draft.require(not draft.has(8) and not draft.used(1), "past")
    weight = floats_of(draft, draft.input(1), [draft.input(4)], draft.input(7), axis=-1)
    bias = stored_floats(draft, 2) if draft.has(2) else None
    attend(draft, _input(draft, 0, 3, 6), weight, bias, mask=5, extra=None)


_UNARY = ("GlobalAveragePool", "AveragePool", "Sigmoid", "LeakyRelu", "Softmax")
_MICROSOFT: dict[str, Callable[[Draft], None]] = {
    **{f"QLinear{kind}": qlinear_unary(kind) for kind in _UNARY},
    "QLinearAdd": qlinear_binary("Add"),
    "QLinearMul": qlinear_binary("Mul"),
    "QLinearConv": qlinear_conv,
    "QLinearConcat": qlinear_concat,
    "NhwcMaxPool": nhwc_max_pool,
    "QGemm": qgemm,
    "QAttention": quantised_attention,
    "QuantizeLinear": quantize_linear,
    "DequantizeLinear": dequantize_linear,
    "DynamicQuantizeMatMul": dynamic_quantize_matmul,
    "MatMulIntegerToFloat": matmul_integer_to_float,
    "DynamicQuantizeLSTM": dynamic_quantize_lstm,
    "MatMulNBits": matmul_n_bits,
}
LOWERINGS: dict[str, Lowering] = {
    **{f"com.microsoft::{op}": lowering for op, lowering in _MICROSOFT.items()},
    "QLinearConv": qlinear_conv,
    "QLinearMatMul": qlinear_matmul,
    "QuantizeLinear": quantize_linear,
    "DequantizeLinear": dequantize_linear,
    "DynamicQuantizeLinear": dynamic_quantize_linear,
    "Mul": integer_product,
}
