"""Vectors of length 1 are no class scores, in whatever way they are brought to it."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from onnxunlearn import examine, inspect, unlearn
from onnxunlearn.errors import InputError
from onnxunlearn.graph import EmbeddingOutput, Logits, find_logits, find_scores

from ..models import assert_one_line, loaded, run
from .ways import Way, X, proto

LENGTH_1 = {
    "LpNormalization": "y = LpNormalization <axis = 1> (z)",
    "of the last axis": "y = LpNormalization <axis = -1, p = 2> (z)",
    "torch, F.normalize": """n = ReduceL2 <axes = [-1]> (z); c = Clip(n, tiny); s = Shape(z);
        e = Expand(c, s); y = Div(z, e)""",
    "ReduceL2": "n = ReduceL2 <axes = [1]> (z); y = Div(z, n)",
    "at least ε": "n = ReduceL2 <axes = [1]> (z); m = Max(n, tiny); y = Div(z, m)",
    "plus ε": "n = ReduceL2 <axes = [1]> (z); m = Add(n, tiny); y = Div(z, m)",
    "never 0": """n = ReduceL2 <axes = [1]> (z); i = Equal(n, nothing); m = Where(i, one, n);
        y = Div(z, m)""",
    "ReduceSumSquare": "q = ReduceSumSquare <axes = [1]> (z); n = Sqrt(q); y = Div(z, n)",
    "Pow and Sqrt": "q = Pow(z, two); s = ReduceSum(q, axis); n = Sqrt(s); y = Div(z, n)",
    "Pow and Pow": "q = Pow(z, two); s = ReduceSum(q, axis); n = Pow(s, half); y = Div(z, n)",
    "Mul and Sqrt": "q = Mul(z, z); s = ReduceSum(q, axis); n = Sqrt(s); y = Div(z, n)",
    "TensorFlow": """q = Mul(z, z); s = ReduceSum(q, axis); m = Max(s, tiny); n = Sqrt(m); r = Reciprocal(n);
        y = Mul(z, r)""",
    "to the power −½": "q = Mul(z, z); s = ReduceSum(q, axis); n = Pow(s, minus_half); y = Mul(n, z)",
    "one over it": "n = ReduceL2 <axes = [1]> (z); r = Div(one, n); y = Mul(z, r)",
    "no axes kept": "n = ReduceL2 <axes = [1], keepdims = 0> (z); u = Unsqueeze(n, axis); y = Div(z, u)",
    "another type": """c = Cast <to = 11> (z); n = ReduceL2 <axes = [1]> (c); d = Div(c, n);
        y = Cast <to = 1> (d)""",
    "times a constant": "l = LpNormalization <axis = 1> (z); y = Mul(l, hundred)",
    "RMSNormalization without a weight": """q = Mul(z, z); m = ReduceMean <axes = [1]> (q); a1 = Add(m, tiny);
        n = Sqrt(a1); y = Div(z, n)""",
}


@pytest.mark.parametrize("name", LENGTH_1)
def test_it_is_named_as_what_it_is(name: str) -> None:
    model = loaded(proto(Way(LENGTH_1[name], None)))
    y = run(model.proto, {"x": X}, ["y"])[0]
    length = np.linalg.norm(y, axis=1)
    np.testing.assert_allclose(length, length[0], rtol=1e-3)
    found = find_scores(model)
    assert isinstance(found, EmbeddingOutput)
    assert (found.output, found.size) == ("y", 6)
    with pytest.raises(InputError) as caught:
        find_logits(model)
    assert_one_line(
        caught.value, "output 'y' is an embedding, not class scores", "opset 17", "give a classifier"
    )


def test_commands_refuse_it_and_inspect_names_it() -> None:
    model = loaded(proto(Way(LENGTH_1["LpNormalization"], None)))
    data = {"x": X, "y": np.arange(len(X)) % 6}
    for attempt in (lambda: unlearn(model, 1, data), lambda: examine(model, model, 1, data)):
        with pytest.raises(InputError, match="is an embedding"):
            attempt()
    found = inspect(model)
    assert (found.logits, found.classes, found.normaliser) == (None, None, None)
    assert found.embedding is not None
    assert found.embedding["size"] == 6
    assert "op LpNormalization" in found.embedding["by"]
    assert [layer.name for layer in found.layers] == ["hidden", "head"]


def test_scores_beside_an_embedding_are_found() -> None:
    made = proto(Way("e = LpNormalization <axis = 1> (f); y = Softmax <axis = 1> (z)", None))
    made.graph.output.insert(0, helper.make_tensor_value_info("e", TensorProto.FLOAT, ["N", 32]))
    assert find_logits(loaded(made)) == Logits("z", "y", 6, "Softmax")
    assert find_scores(loaded(made), "e") == EmbeddingOutput(
        "e", 32, "node 'LpNormalization_3', op LpNormalization, opset 17"
    )


@pytest.mark.parametrize(
    "text",
    [
        "l = LpNormalization <axis = 1> (f); y = Gemm <transB = 1> (l, W2)",  # a classifier by angles
        "y = LpNormalization <axis = 0> (z)",  # over the samples
        "n = ReduceL2 <axes = [1]> (f); y = Div(z, n)",  # by another tensor's length
        "y = LayerNormalization(z, ones_of_6, zeros_of_6)",
    ],
)
def test_what_only_looks_like_it(text: str) -> None:
    assert find_logits(loaded(proto(Way(text, None)))) == Logits("y", "y", 6, None)
