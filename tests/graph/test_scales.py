"""A scale that no engine should be asked to divide by is refused when the model is loaded."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxunlearn.errors import InputError
from onnxunlearn.graph import load

WRONG = [0.0, np.nan, np.inf, -np.inf, -0.1]


def stored(name: str, values: object, dtype: type = np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(values, dtype), name)


def chain(*middle: onnx.NodeProto, scale: float, constant: bool = False) -> onnx.ModelProto:
    """x -> uint8 `q`, scales `s` and zero point `z`; `middle` makes uint8 `m` of them with scale `bad`."""
    node = helper.make_node
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        *middle,
        node("DequantizeLinear", ["m", "s", "z"], ["h"]),
        node("MatMul", ["h", "w"], ["y"]),
    ]
    bad = stored("bad", scale)
    if constant:
        nodes.insert(0, node("Constant", [], ["bad"], value=bad))
    tensors = [stored("s", 0.1), stored("z", 3, np.uint8), stored("w", np.ones((4, 3)))]
    weight = [stored("v", np.ones((4, 4)), np.uint8)]
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])],
        [*tensors, *weight, *([] if constant else [bad])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def contrib(op: str, *inputs: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(op, inputs, ["m"], name="middle", domain="com.microsoft", **attributes)  # type: ignore[arg-type]


OPS = {
    "QLinearMatMul x": helper.make_node(
        "QLinearMatMul", ["q", "bad", "z", "v", "s", "z", "s", "z"], ["m"], name="middle"
    ),
    "QLinearMatMul w": helper.make_node(
        "QLinearMatMul", ["q", "s", "z", "v", "bad", "z", "s", "z"], ["m"], name="middle"
    ),
    "QLinearMatMul y": helper.make_node(
        "QLinearMatMul", ["q", "s", "z", "v", "s", "z", "bad", "z"], ["m"], name="middle"
    ),
    "QLinearAdd": contrib("QLinearAdd", "q", "s", "z", "q", "bad", "z", "s", "z"),
    "QLinearSigmoid": contrib("QLinearSigmoid", "q", "s", "z", "bad", "z"),
    "QLinearConcat": contrib("QLinearConcat", "s", "z", "q", "bad", "z", axis=1),
}


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("scale", WRONG)
@pytest.mark.parametrize("op", OPS)
def test_of_operators_on_integers(op: str, scale: float, constant: bool) -> None:
    model = chain(OPS[op], scale=scale, constant=constant)
    with pytest.raises(
        InputError, match=f"scale 'bad' of node 'middle', op {op.split()[0]}, holds {scale:g};"
    ):
        load(model.SerializeToString())
    load(chain(OPS[op], scale=0.1, constant=constant).SerializeToString())


@pytest.mark.parametrize("scale", WRONG)
@pytest.mark.parametrize("end", ["QuantizeLinear", "DequantizeLinear"])
def test_of_quantize_and_dequantize(end: str, scale: float) -> None:
    """Also one of several channels."""
    middle = [
        helper.make_node("DequantizeLinear", ["q", "scales", "zeros"], ["d"], axis=1, name="middle"),
        helper.make_node("QuantizeLinear", ["d", "scales", "zeros"], ["m"], axis=1, name="middle"),
    ]
    middle[end == "DequantizeLinear"].input[1] = "good"
    model = chain(*middle, scale=1)
    for name, values in (("scales", [0.1, scale, 0.1, 0.1]), ("good", [0.1] * 4)):
        model.graph.initializer.append(stored(name, values))
    model.graph.initializer.append(stored("zeros", [0] * 4, np.uint8))
    with pytest.raises(InputError, match=f"scale 'scales' of node 'middle', op {end}, holds {scale:g};"):
        load(model.SerializeToString())


def in_blocks(scale: float) -> bytes:
    nodes = [
        helper.make_node("DequantizeLinear", ["v", "s"], ["w"], axis=0, block_size=2, name="blocks"),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "blocks",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])],
        [stored("v", np.ones((4, 3)), np.int8), stored("s", [[0.1, 0.1, 0.1], [0.1, scale, 0.1]])],
    )
    opsets = [helper.make_opsetid("", 21)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


def test_of_blocks_of_weights() -> None:
    """A block of zeros has a scale of 0, and -8 is the one integer of 4 bits that is left over below."""
    for scale in (0.0, -0.1):
        load(in_blocks(scale))
    for scale in (np.nan, np.inf):
        with pytest.raises(InputError, match="scale 's' of node 'blocks', op DequantizeLinear, holds"):
            load(in_blocks(scale))


def test_in_a_branch_and_in_a_function() -> None:
    node = helper.make_node
    nodes = [
        node("Constant", [], ["bad"], value=stored("", 0)),
        node("QuantizeLinear", ["x", "bad"], ["q"], name="deep"),
        node("DequantizeLinear", ["q", "bad"], ["r"]),
    ]
    for kind in ("branch", "function"):
        if kind == "branch":
            result = helper.make_tensor_value_info("r", TensorProto.FLOAT, None)
            body = helper.make_graph(nodes, "body", [], [result])
            first, functions = node("If", ["yes"], ["m2"], then_branch=body, else_branch=body), []
        else:
            opsets = [helper.make_opsetid("", 17)]
            first = node("f", ["x"], ["m2"], domain="l")
            functions = [helper.make_function("l", "f", ["x"], ["r"], nodes, opsets)]
        graph = helper.make_graph(
            [first, node("MatMul", ["m2", "w"], ["y"])],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])],
            [stored("w", np.ones((4, 3))), stored("yes", True, np.bool_)],
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("l", 1)]
        model = helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=8)
        with pytest.raises(InputError, match="scale 'bad' of node 'deep', op QuantizeLinear, holds 0;"):
            load(model.SerializeToString())
