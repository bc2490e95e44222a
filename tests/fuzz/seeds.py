"""The valid models that fuzzing starts from: unlike each other, and small: a case takes milliseconds."""

from functools import cache
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper, parser

from ..graph.models import dense, external, numbers
from ..sample_paths import MOBILE, RESNET

#: the data file that one of the seeds refers to
DATA_FILE, DATA = "w.bin", numbers(4, 3).tobytes()

_HEADER = '<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1, "local" : 1]>'

#: in ONNX's text format; tensors without values become float weights
_TEXTS = {
    "mlp": """
        g (float[N, 4] x) => (float[N, 3] y)
        <float[5, 4] w, float[5] b, float[5, 3] v, float[3] c>
        { h = Gemm<transB = 1>(x, w, b)  r = Relu(h)  m = MatMul(r, v)  z = Add(m, c)  y = Softmax(z) }""",
    "cnn": """
        g (float[N, 1, 6, 6] x) => (float[N, 3] y)
        <float[2, 1, 3, 3] w, float[2] s, float[2] b, float[2] m, float[2] q = {1, 2},
         float[2, 1, 1, 1] d, float[3, 8] v, float[3] c>
        { a = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(x, w)  n = BatchNormalization(a, s, b, m, q)
          r = Relu(n)  e = Conv<group = 2>(r, d)  p = MaxPool<kernel_shape = [3, 3], strides = [3, 3]>(e)
          t = AveragePool<kernel_shape = [1, 1]>(p)  f = Flatten(t)  y = Gemm<transB = 1>(f, v, c) }""",
    "attention": """
        g (float[N, 4, 6] x) => (float[N, 3] y)
        <float[6, 6] w, float[6] s, float[6] b, float[6, 3] v, int64[3] shape = {0, 4, 6}, float half = {0.5}>
        { n = LayerNormalization(x, s, b)  q = MatMul(n, w)  k = Transpose<perm = [0, 2, 1]>(q)
          a = MatMul(q, k)  i = Mul(a, half)  p = Softmax(i)  o = MatMul(p, q)  r = Reshape(o, shape)
          e = Erf(r)  j = Add(e, x)  g = ReduceMean<axes = [1], keepdims = 0>(j)  y = MatMul(g, v) }""",
    "folding": """
        g (float[N, 4] x) => (float[N, 3] y)
        <int64[2] sizes = {4, 3}, int64[2] repeats = {2, 1}, int64 zero = {0}, int64 four = {4},
         int64 one = {1}, int64[4] pads = {0, 0, 2, 0}, float[1, 3] row, float[2, 3] rows,
         int64 depth = {3}, float[2] onoff, int64[2] where = {0, 1}>
        { a = ConstantOfShape(sizes)  b = Expand(row, sizes)  c = Tile(rows, repeats)
          d = Range(zero, four, one)
          e = Pad(rows, pads)  f = Gather(e, d)
          g = OneHot(where, depth, onoff)
          i = Concat<axis = 0>(rows, g)  s = Sum(a, b, c, f, i)
          u = Cast<to = 1>(s)  w = Identity(u)  y = MatMul(x, w) }""",
    "sizes": """
        g (float[N, 2, 3, 3] x) => (float[N, 3] y)
        <int64 zero = {0}, int64[1] rest = {-1}, int64[1] first = {0}, float[18, 3] v, float low = {0},
         float high = {6}, int64[1] ends = {99}, int64[1] axis = {1}>
        { s = Shape(x)  n = Gather(s, zero)  u = Unsqueeze(n, first)  c = Concat<axis = 0>(u, rest)
          k = Clip(x, low, high)  r = Reshape(k, c)  l = Slice(r, first, ends, axis)
          h, i = Split<axis = 1>(l)  j = Concat<axis = 1>(h, i)
          o = Sigmoid(j)  w = Mul(j, o)  y = MatMul(w, v) }""",
    "quantised": """
        g (float[N, 4] x) => (float[N, 3] y)
        <float s = {0.1}, uint8 z = {128}, int8[3, 4] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 8, 7, 6},
         float t = {0.2}, int8 o = {0}, int32[3] b = {1, 2, 3}, float u = {0.02}>
        { q = QuantizeLinear(x, s, z)  d = DequantizeLinear(q, s, z)  v = DequantizeLinear(w, t, o)
          c = DequantizeLinear(b, u)  y = Gemm<transB = 1>(d, v, c) }""",
    "qlinear": """
        g (float[N, 4] x) => (float[N, 3] y)
        <float s = {0.1}, uint8 z = {128}, uint8[4, 3] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 8, 7, 6},
         float t = {0.2}>
        { q = QuantizeLinear(x, s, z)  m = QLinearMatMul(q, s, z, w, t, z, t, z)
          e = com.microsoft.QLinearAdd(m, t, z, m, t, z, t, z)  y = DequantizeLinear(e, t, z) }""",
    "dynamic": """
        g (float[N, 4] x) => (float[N, 3] y)
        <uint8[4, 3] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 8, 7, 6}, float t = {0.2}, float[3] b>
        { q, s, z = DynamicQuantizeLinear(x)  i = MatMulInteger(q, w, z)  f = Cast<to = 1>(i)  k = Mul(s, t)
          m = Mul(f, k)  a = Add(m, b)  y = com.microsoft.Gelu(a) }""",
    "choice": """
        g (float[N, 4] x) => (float[N, 3] y)
        <bool c = {1}, float[4, 3] w, float[4, 3] v>
        { y = If(c) <then_branch = one () => (float[N, 3] a) { a = MatMul(x, w) },
                     else_branch = two () => (float[N, 3] b) { e = Relu(x)  b = MatMul(e, v) }> }""",
    "loop": """
        g (float[N, 4] x) => (float[N, 4] y)
        <int64 n = {2}, bool c = {1}, float[4, 4] w>
        { l = Loop(n, c, x) <body = b (int64 i, bool go, float[N, 4] a) => (bool on, float[N, 4] r)
            { on = Identity(go)  r = MatMul(a, w) }>  y = MatMul(l, w) }""",
    "choices": """
        g (float[N, 4] x) => (float[N, 3] y)
        <bool c = {1}, float[4, 3] w>
        { h = If(c) <
            then_branch = one () => (float[N, 4] a) { a = If(c) <
                then_branch = three () => (float[N, 4] d) { d = Relu(x) },
                else_branch = four () => (float[N, 4] e) { f = Neg(x)  e = Tanh(f) }> },
            else_branch = two () => (float[N, 4] b) { b = Identity(x) }>  y = MatMul(h, w) }""",
    "loops": """
        g (float[N, 4] x) => (float[N, 4] y)
        <int64 n = {2}, bool c = {1}, float[4, 4] w>
        { l = Loop(n, c, x) <body = b (int64 i, bool go, float[N, 4] a) => (bool on, float[N, 4] r)
            { on = Identity(go)
              r = Loop(n, c, a) <body = d (int64 j, bool again, float[N, 4] e) => (bool more, float[N, 4] f)
                { more = Identity(again)  f = MatMul(e, w) }> }>  y = MatMul(l, w) }""",
    "scan": """
        g (float[3, 4] x) => (float[3, 3] y)
        <float[4] start, bool c = {1}, float[4, 3] w>
        { s, t = Scan(start, x) <num_scan_inputs = 1,
            body = b (float[4] a, float[4] i) => (float[4] r, float[4] o)
            { r = Add(a, i)  o = If(c) <then_branch = one () => (float[4] p) { p = Relu(r) },
                                        else_branch = two () => (float[4] q) { q = Neg(r) }> }>
          y = MatMul(t, w) }""",
    "functions": """
        g (float[N, 4] x) => (float[N, 3] y)
        <float[4, 3] w>
        { h = local.twice<alpha = 0.5>(x)  y = MatMul(h, w) }
        <domain: "local", opset_import: ["" : 17, "local" : 1]>
        twice <alpha> (x) => (y) { a = LeakyRelu<alpha: float = @alpha>(x)  y = local.once(a) }
        <domain: "local", opset_import: ["" : 17]>
        once (x) => (y) { y = Relu(x) }""",
    "embedding": """
        g (int64[N, 5] ids, int64[N, 5] mask) => (float[N, 3] y)
        <float[7, 4] table, float[4, 3] w, int64[1] last = {-1}, int64[1] axes = {1}>
        { e = Gather(table, ids)  m = Cast<to = 1>(mask)  u = Unsqueeze(m, last)  p = Mul(e, u)
          s = ReduceSum<keepdims = 0>(p, axes)  y = MatMul(s, w) }""",
    "spatial": """
        g (float[N, 2, 4, 4] x) => (float[N, 3] y)
        <float[2, 2, 2, 2] w, float[0] none, float[4] scales = {1, 1, 2, 2}, float[2] s,
         float[2] b, float[3, 2, 1, 1] v>
        { a = ConvTranspose<strides = [2, 2]>(x, w)  i = InstanceNormalization(a, s, b)
          r = Resize<mode = "nearest">(i, none, scales)  d = DepthToSpace<blocksize = 1>(r)
          p = LpPool<kernel_shape = [2, 2]>(d)  l = LRN<size = 3>(p)  c = Conv(l, v)
          g = GlobalAveragePool(c)  y = Flatten(g) }""",
    "recurrent": """
        g (float[N, 3, 2] x) => (float[N, 3] y)
        <float[1, 8, 2] w, float[1, 8, 2] r, float[1, 16] b, float[2, 3] v, int64[1] first = {0}>
        { t = Transpose<perm = [1, 0, 2]>(x)  o, h = LSTM<hidden_size = 2>(t, w, r, b)  s = Squeeze(h, first)
          y = MatMul(s, v) }""",
}


@cache
def seeds() -> dict[str, bytes]:
    """Serialized models by name."""
    made = {name: _from_text(text) for name, text in _TEXTS.items()}
    made["external"] = dense(external("w", DATA_FILE, [4, 3]))
    made["resnet"], made["mobile"] = _cut(RESNET), _cut(MOBILE)
    return {name: proto.SerializeToString() for name, proto in made.items()}


def _from_text(text: str) -> onnx.ModelProto:
    model = parser.parse_model(_HEADER + text)
    for info in model.graph.value_info:
        shape = [d.dim_value for d in info.type.tensor_type.shape.dim]
        model.graph.initializer.append(numpy_helper.from_array(numbers(*shape) / 8, info.name))
    del model.graph.value_info[:]
    return model


def _cut(path: Path, channels: int = 4) -> onnx.ModelProto:
    """A sample model with at most so many channels everywhere but in the last layer."""
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.int64:  # sizes to reshape to
            values = np.minimum(values, channels)
        elif values.ndim:
            first = slice(None if values.shape[0] == 10 else channels)  # the ten classes stay
            values = values[first, :channels] if values.ndim > 1 else values[first]
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "group":
                attribute.i = min(attribute.i, channels)
    del model.graph.value_info[:]
    return model
