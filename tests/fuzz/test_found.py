"""What fuzzing found once, each as the smallest model that showed it."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper, numpy_helper, parser

from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph import find_logits, load
from onnxunlearn.inspected import Inspection
from onnxunlearn.inspection import inspect

from ..graph.models import numbers

_HEADER = '<ir_version: 8, opset_import: ["": 17, "com.microsoft": 1]>\n'


def model(text: str, **weights: np.ndarray) -> onnx.ModelProto:
    made = parser.parse_model(_HEADER + text)
    made.graph.initializer.extend(numpy_helper.from_array(v, n) for n, v in weights.items())
    return made


def inspected(proto: onnx.ModelProto) -> Inspection:
    return inspect(proto.SerializeToString())


def head(dims: str = "N, 4") -> onnx.ModelProto:
    return model(f"g (float[{dims}] x) => (float[N, 3] y) {{ y = MatMul(x, w) }}", w=numbers(4, 3))


def test_a_negative_size() -> None:
    proto = head()
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value = -4
    assert inspected(proto).obstacle == "input 'x' has free sizes besides the batch"


def test_an_input_of_no_type() -> None:
    proto = head()
    proto.graph.input[0].type.tensor_type.elem_type = T.UNDEFINED
    assert "is not a tensor of a declared type" in str(inspected(proto).obstacle)


@pytest.mark.parametrize(
    "body",
    ["y = MatMul(x, w)", "a = Relu(x)  y = MatMul(a, w)", "y = Gemm(x, w)", "a = Add(x, x)  y = Gemm(a, w)"],
)
def test_a_layer_of_zeros(body: str) -> None:
    proto = model(f"g (float[N, 4] x) => (float[N, 3] y) {{ {body} }}", w=np.zeros((4, 3), np.float32))
    assert inspected(proto).obstacle is None


def test_a_convolution_of_zeros() -> None:
    proto = model(
        """g (float[N, 4, 5] x) => (float[N, 3] y)
        { c = Conv(x, w)  m = GlobalAveragePool(c)  y = Flatten(m) }""",
        w=np.zeros((3, 4, 2), np.float32),
    )
    assert inspected(proto).obstacle is None


def test_an_omitted_input_at_the_end() -> None:
    """A valid way to leave the bias out, on which ONNX Runtime 1.32 crashes."""
    proto = model(
        """g (float[N, 4] x) => (float[N, 3] y)
        { n = LayerNormalization(x, s, "")  y = MatMul(n, w) }""",
        s=numbers(4),
        w=numbers(4, 3),
    )
    assert list(proto.graph.node[0].input) == ["x", "s", ""]
    assert inspected(proto).obstacle is None


def test_an_output_left_out_of_many() -> None:
    """Split has to make all of its outputs; ONNX Runtime 1.32 crashes where one has no name."""
    proto = model(
        """g (float[N, 9] x) => (float[N, 3] y)
        { a, "", b = Split<axis = 1>(x)  s = Add(a, b)  y = MatMul(s, w) }""",
        w=numbers(3, 3),
    )
    with pytest.raises(InputError, match="op Split, omits its output 1, which it needs"):
        inspected(proto)


def test_a_float_zero_point() -> None:
    proto = model(
        """g (float[N, 4] x) => (float[N, 3] y) <float s = {0.1}, uint8 z = {128}, float f = {128}>
        { q = QuantizeLinear(x, s, z)  m = QLinearMatMul(q, s, z, w, s, z, s, f)
          y = DequantizeLinear(m, s, z) }""",
        w=np.ones((4, 3), np.uint8),
    )
    assert "QLinearMatMul" in str(inspected(proto).obstacle)


def test_a_recurrent_layer_without_steps() -> None:
    proto = model(
        """g (float[N, 0, 2] x) => (float[N, 3] y) <int64[1] first = {0}>
        { t = Transpose<perm = [1, 0, 2]>(x)  o, h = LSTM<hidden_size = 2>(t, w, r)  s = Squeeze(h, first)
          y = MatMul(s, v) }""",
        w=numbers(1, 8, 2),
        r=numbers(1, 8, 2),
        v=numbers(2, 3),
    )
    assert inspected(proto).obstacle is not None


def choice(condition: np.ndarray, branch: str = "(float[N, 3] a) { a = MatMul(x, w) }") -> onnx.ModelProto:
    return model(
        f"""g (float[N, 4] x) => (float[N, 3] y)
        {{ y = If(c) <then_branch = one () => {branch}, else_branch = two () => {branch}> }}""",
        c=condition,
        w=numbers(4, 3),
    )


@pytest.mark.parametrize("condition", [np.array([True, False]), np.zeros((0,), bool)])
def test_a_condition_that_is_no_scalar(condition: np.ndarray) -> None:
    with pytest.raises(UnsupportedError, match="op If, opset 17 is of a form that cannot be handled"):
        inspected(choice(condition))


def test_a_branch_with_another_number_of_outputs() -> None:
    branch = "(float[N, 3] a, float[N, 3] b) { a = MatMul(x, w)  b = Relu(a) }"
    with pytest.raises(UnsupportedError, match="op If, opset 17 is of a form that cannot be handled"):
        inspected(choice(np.array(True), branch))


def test_shape_arithmetic_that_doubles() -> None:
    """An If whose condition is 60 doublings behind a size: 2⁶⁰ ways lead there."""
    sums = "  ".join(f"s{i + 1} = Add(s{i}, s{i})" for i in range(60))
    branch = "(float[N, 3] a) { a = MatMul(x, w) }"
    proto = model(
        f"""g (float[N, 4] x) => (float[N, 3] y) <int64 one = {{1}}>
        {{ s = Shape(x)  s0 = Gather(s, one)  {sums}  c = Greater(s60, one)
           y = If(c) <then_branch = one () => {branch}, else_branch = two () => {branch}> }}""",
        w=numbers(4, 3),
    )
    assert inspected(proto).covered == {"Identity": 1, "MatMul": 1}


def test_a_loop_that_hardly_ends() -> None:
    """It cannot be unrolled, and is not run either."""
    proto = model(
        """g (float[N, 4] x) => (float[N, 3] y)
        { h = Loop(n, c, x) <body = b (int64 i, bool g, float[N, 4] s) => (bool go, float[N, 4] t)
            { go = Identity(g)  t = Relu(s) }>
          y = MatMul(h, w) }""",
        n=np.array(2**62),
        c=np.array(True),
        w=numbers(4, 3),
    )
    assert "op Loop, opset 17: how often it runs" in str(inspected(proto).obstacle)


def test_a_sparse_weight_of_a_terabyte() -> None:
    proto = head(f"N, {2**20}")
    del proto.graph.initializer[:]
    values, indices = np.ones(1, np.float32), np.zeros(1, np.int64)
    proto.graph.sparse_initializer.append(
        helper.make_sparse_tensor(
            numpy_helper.from_array(values, "w"), numpy_helper.from_array(indices, "i"), [2**20, 2**20]
        )
    )
    with pytest.raises(UnsupportedError, match="have 1,099,511,627,776 values with their zeros"):
        inspected(proto)


def strided(stride: int) -> onnx.ModelProto:
    return model(
        f"""g (float[N, 2, 4, 4] x) => (float[N, 3] y)
        {{ a = ConvTranspose<strides = [{stride}, {stride}]>(x, w)  m = GlobalAveragePool(a)  f = Flatten(m)
          y = MatMul(f, v) }}""",
        w=numbers(2, 2, 2, 2),
        v=numbers(2, 3),
    )


def test_a_stride_of_thousands() -> None:
    """Sixteen pixels become a gigabyte: nothing is run to find that out."""
    assert inspected(strided(4096)).obstacle == "tensor 'a' alone has 302,088,200 values a sample"
    with pytest.raises(
        UnsupportedError, match="tensor 'a' would have 19,791,234,465,800 values for one sample"
    ):
        inspected(strided(2**20))


def test_an_output_that_is_made_twice() -> None:
    proto = head()
    proto.graph.node.append(helper.make_node("Relu", ["x"], ["y"]))
    with pytest.raises(InputError, match="fails the ONNX checker"):
        inspected(proto)


@pytest.mark.parametrize("shape", [(), (3,), (3, 4)])
def test_a_convolution_with_too_few_axes(shape: tuple[int, ...]) -> None:
    proto = model(
        "g (float[N, 4, 5] x) => (float[N, 3] y) { c = Conv(x, w)  f = Flatten(c)  y = Gemm(f, v) }",
        w=numbers(*shape),
        v=numbers(4, 3),
    )
    found = inspected(proto)
    assert found.weights_that_cannot_be_edited == ("Conv_0",)
    assert found.obstacle is not None


def test_a_weight_that_cannot_be_transposed() -> None:
    proto = model(
        "g (float[N, 4] x) => (float[N, 3] y) { t = Transpose<perm = [0, 2, 1]>(w)  y = MatMul(x, t) }",
        w=numbers(4, 3),
    )
    assert inspected(proto).layers == ()


def test_a_weight_behind_a_long_chain() -> None:
    body = "  ".join(f"t{i + 1} = Identity(t{i})" for i in range(3000))
    proto = model(
        f"g (float[N, 4] x) => (float[N, 3] y) {{ {body}  y = MatMul(x, t3000) }}", t0=numbers(4, 3)
    )
    assert [layer.stored_as for layer in inspected(proto).layers] == ["t0"]


def test_finding_logits_in_a_long_chain() -> None:
    body = "  ".join(f"t{i + 1} = Identity(t{i})" for i in range(3000))
    proto = model(
        f"g (float[N, 4] x) => (float[N, 3] y) {{ t0 = MatMul(x, w)  {body}  y = Identity(t3000) }}",
        w=numbers(4, 3),
    )
    assert find_logits(load(proto.SerializeToString())).classes == 3


@pytest.mark.parametrize("version", [-(2**62), -1, 2**31])
def test_an_opset_that_there_cannot_be(version: int) -> None:
    proto = model('g (float[N, 4] x) => (float[N, 3] y) { y = Gemm(x, w, "") }', w=numbers(4, 3))
    proto.opset_import[0].version = version
    with pytest.raises(InputError, match=f"opset {version} of domain"):
        inspected(proto)
