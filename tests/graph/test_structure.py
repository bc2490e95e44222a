"""What would send C++ or us round in circles is refused in one line."""

import time
from collections.abc import Callable
from itertools import pairwise

import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper, parser

from onnxunlearn.errors import InputError, OnnxUnlearnError, UnsupportedError
from onnxunlearn.graph import load
from onnxunlearn.graph.structure import check_structure
from onnxunlearn.graph.wire import varint

from .models import assert_one_line, build, dense, loaded, numbers, tensor, value


def refused(proto: onnx.ModelProto, kind: type[OnnxUnlearnError], *parts: str) -> None:
    with pytest.raises(kind) as caught:
        check_structure(proto, "m.onnx")
    assert_one_line(caught.value, "m.onnx: ", *parts)
    with pytest.raises(OnnxUnlearnError):
        load(proto.SerializeToString())


def with_functions(*bodies: tuple[str, str]) -> onnx.ModelProto:
    """x -> the first function -> MatMul -> y; each function is (name, the calls in it)."""
    functions = "".join(
        f'<domain: "l", opset_import: ["": 17, "l": 1]> {name} (x) => (y) {{ {body} }}\n'
        for name, body in bodies
    )
    model = parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17, "l": 1]>\n'
        f"g (float[N, 4] x) => (float[N, 3] y) {{ h = l.{bodies[0][0]}(x)  y = MatMul(h, w) }}\n" + functions
    )
    model.graph.initializer.append(tensor("w", numbers(4, 3)))
    return model


def test_functions_that_end() -> None:
    model = with_functions(("a", "b = l.b(x) y = l.b(b)"), ("b", "y = Relu(x)"))
    assert loaded(model).proto.functions


@pytest.mark.parametrize(
    "bodies",
    [
        [("a", "y = l.a(x)")],
        [("a", "y = l.b(x)"), ("b", "y = l.a(x)")],
        [("a", "y = Relu(x)"), ("b", "y = l.c(x)"), ("c", "z = Relu(x) y = l.b(z)")],
    ],
    ids=["itself", "each other", "unused"],
)
def test_functions_that_call_themselves(bodies: list[tuple[str, str]]) -> None:
    refused(with_functions(*bodies), InputError, "function l::", "calls itself")


def test_functions_that_explode() -> None:
    """Each calls the next one twice: 2⁴⁰ nodes in two kilobytes."""
    names = [f"f{i}" for i in range(40)]
    bodies = [(a, f"t = l.{b}(x) y = l.{b}(t)") for a, b in pairwise(names)]
    start = time.perf_counter()
    refused(with_functions(*bodies, (names[-1], "y = Relu(x)")), UnsupportedError, "make 1,", "nodes")
    assert time.perf_counter() - start < 2


def test_functions_whose_names_explode() -> None:
    """Each calls the next one twice: 8 192 times a name of 20 kB."""
    names = [f"f{i}" for i in range(14)]
    bodies = [(a, f"t = l.{b}(x) y = l.{b}(t)") for a, b in pairwise(names)]
    long = "n" * 20_000
    model = with_functions(*bodies, (names[-1], f"{long} = Relu(x) y = Relu({long})"))
    refused(model, UnsupportedError, "written out, its functions take 3", "bytes")


def test_functions_that_call_each_other_too_deep() -> None:
    bodies = [(f"f{i}", f"y = l.f{i + 1}(x)") for i in range(5000)]
    refused(
        with_functions(*bodies, ("f5000", "y = Relu(x)")), UnsupportedError, "5,001 deep".replace(",", "")
    )


def twice(field: str) -> onnx.ModelProto:
    model = dense(tensor("w", numbers(4, 3)))
    content = getattr(model.graph, field)
    content.add().CopyFrom(content[0])
    return model


@pytest.mark.parametrize(
    ("field", "message"),
    [("initializer", "two initializers are called 'w'"), ("input", "two inputs"), ("output", "two outputs")],
)
def test_names_that_are_taken(field: str, message: str) -> None:
    refused(twice(field), InputError, message)


def test_functions_of_one_name() -> None:
    refused(with_functions(("a", "y = Relu(x)"), ("a", "y = Abs(x)")), InputError, "two functions", "'l::a'")


def test_a_second_output_of_one_name_is_no_node_twice() -> None:
    model = dense(tensor("w", numbers(4, 3)))
    model.graph.node.add().CopyFrom(model.graph.node[0])
    with pytest.raises(InputError) as caught:
        loaded(model)
    assert_one_line(caught.value, "fails the ONNX checker")


def cyclic() -> onnx.ModelProto:
    nodes = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    return build(nodes, [value("x", ["N", 3])], [value("b", ["N", 3])])


def test_a_cycle() -> None:
    with pytest.raises(InputError) as caught:
        loaded(cyclic())
    assert_one_line(caught.value, "topologically sorted")


def _set(field: str, marker: bytes = b"MARKER") -> onnx.ModelProto:
    model = dense(tensor("w", numbers(4, 3)))
    node = model.graph.node[0]
    if field == "input":
        node.input[0] = model.graph.input[0].name = marker.decode()
    elif field == "initializer":
        node.input[1] = model.graph.initializer[0].name = marker.decode()
    elif field == "dim":
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = marker.decode()
    elif field == "metadata":
        model.metadata_props.add(key="k", value=marker.decode())
    else:
        setattr(node, field, marker.decode())
    return model


@pytest.mark.parametrize("field", ["name", "op_type", "domain", "input", "initializer", "dim", "metadata"])
def test_names_that_are_not_text(field: str) -> None:
    data = _set(field).SerializeToString().replace(b"MARKER", b"\xff\xfe\xfd\xfc\xfb\xfa")
    with pytest.raises(InputError) as caught:
        load(data)
    assert_one_line(caught.value, r"b'\xff\xfe", "is not UTF-8 text")


def test_an_input_of_gigabytes() -> None:
    model = dense(tensor("w", numbers(4, 3)))
    model.graph.input[0].CopyFrom(value("x", [2**31, 4]))
    refused(model, InputError, "input 'x' is declared with 2147483648 × 4 values", "smaller batch")


def test_an_element_type_that_nobody_knows() -> None:
    model = dense(tensor("w", numbers(4, 3)))
    model.graph.output[0].type.tensor_type.elem_type = 77
    refused(model, InputError, "element type 77, which is not known")


def test_an_attribute_that_refers_to_no_function() -> None:
    model = dense(tensor("w", numbers(4, 3)))
    node = helper.make_node("LeakyRelu", ["x"], ["z"], name="leak", alpha=0.5)
    node.attribute[0].ref_attr_name = "alpha"
    model.graph.node.insert(0, node)
    refused(model, InputError, "attribute 'alpha' of node 'leak', op LeakyRelu")


def nested(depth: int) -> bytes:
    """If in If in If …, as bytes: protobuf itself refuses to build what is nested too deep."""

    def field(number: int, content: bytes) -> bytes:
        return varint(number << 3 | 2) + varint(len(content)) + content

    graph = b""
    for level in range(depth):
        branches = [
            field(5, field(1, name) + field(6, body) + varint(20 << 3) + varint(onnx.AttributeProto.GRAPH))
            for name, body in ((b"then_branch", graph), (b"else_branch", b""))
        ]
        node = field(1, b"c") + field(2, b"y%d" % level) + field(4, b"If") + b"".join(branches)
        graph = field(1, node) + field(2, b"g")
    model = build([], [value("x", ["N", 3]), value("c", [], T.BOOL)], [value("x", ["N", 3])])
    return model.SerializeToString() + field(7, graph)  # protobuf joins the two graphs


@pytest.mark.parametrize(
    ("depth", "error", "message"),
    [
        (1, InputError, "fails the ONNX checker"),
        (10, InputError, "fails the ONNX checker"),
        (31, InputError, "fails the ONNX checker"),
        (32, UnsupportedError, "its graphs are nested 33 deep (If, Loop, Scan); at most 32 can be handled"),
        (33, UnsupportedError, "its graphs are nested 34 deep"),
        (34, InputError, "damaged ONNX"),
        (5000, InputError, "damaged ONNX"),
    ],
)
def test_graphs_in_graphs(depth: int, error: type[OnnxUnlearnError], message: str) -> None:
    """Protobuf itself stops at 100 messages in each other."""
    with pytest.raises(error) as caught:
        load(nested(depth))
    assert_one_line(caught.value, message)


@pytest.mark.parametrize("length", [70_000, 2_000_000])
def test_very_long_names(length: int) -> None:
    model = dense(tensor("w", numbers(4, 3)))
    model.graph.node[0].name = model.graph.output[0].name = model.graph.node[0].output[0] = "n" * length
    assert loaded(model).nodes[0].outputs == ("n" * length,)
    model.graph.node[0].op_type = "o" * length
    with pytest.raises(InputError) as caught:
        loaded(model)
    assert_one_line(caught.value)
    assert len(str(caught.value)) < 1000


def chain(op: str, length: int, start: str = "x") -> onnx.ModelProto:
    names = [start, *(f"t{i}" for i in range(length))]
    nodes = [helper.make_node(op, [a], [b]) for a, b in pairwise(names)]
    constant = start == "w"
    nodes.append(helper.make_node("MatMul", ["x", names[-1]] if constant else [names[-1], "w"], ["y"]))
    return build(nodes, [value("x", ["N", 4])], [value("y", ["N", 3])], [tensor("w", numbers(4, 3))])


@pytest.mark.parametrize("start", ["x", "w"], ids=["activations", "constants"])
def test_long_chains_take_no_recursion(start: str) -> None:
    model = loaded(chain("Identity", 3000, start))
    assert (model.constant("t2999") is None) == (start == "x")
    assert len(model.activations) == (3002 if start == "x" else 2)


@pytest.mark.parametrize(
    "walk",
    [
        lambda model: load(model.data),
        lambda model: model.consumers,
        lambda model: model.activations,
        lambda model: model.shapes,
        lambda model: list(model.upstream("y")),
    ],
    ids=["load", "consumers", "activations", "shapes", "upstream"],
)
def test_no_walk_is_quadratic(walk: Callable[[object], object]) -> None:
    """Eight times the nodes may take eight times as long; twenty leaves room for noise, 64 does not fit."""

    def seconds(length: int) -> float:
        taken = []
        for _ in range(3):
            model = loaded(chain("Relu", length))
            start = time.process_time()
            walk(model)
            taken.append(time.process_time() - start)
        return min(taken)

    assert seconds(8000) < 20 * seconds(1000) + 0.05


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (
            helper.make_node("Split", ["x"], ["a", "", "b"], "cut", axis=1),
            "'cut', op Split, omits its output 1",
        ),
        (helper.make_node("Add", ["x", ""], ["a"], "sum"), "'sum', op Add, omits its input 1"),
        (helper.make_node("Concat", ["x", ""], ["a"], axis=1), "op Concat, omits its input 1"),
        (helper.make_node("Relu", ["x"], [""]), "op Relu, omits its output 0"),
    ],
    ids=lambda value: value.op_type if isinstance(value, onnx.NodeProto) else "",
)
def test_what_a_node_needs(node: onnx.NodeProto, message: str) -> None:
    model = dense(tensor("w", numbers(4, 3)))
    model.graph.node.insert(0, node)
    refused(model, InputError, message)


def test_what_a_node_does_not_need() -> None:
    model = dense(tensor("w", numbers(4, 3)))
    model.graph.node.insert(0, helper.make_node("Clip", ["x", "", "high"], ["a"]))
    model.graph.initializer.append(tensor("high", numbers(1)[0]))
    assert len(loaded(model).nodes) == 2
