"""A network that embeds identities, which are clusters of 20 numbers, in 16; scaled to length 1 or not."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from onnxunlearn.probes import SharedBy

_RNG = np.random.default_rng(0)
INPUTS, HIDDEN, WIDTH, IDENTITIES = 20, 48, 16, 8
_CENTRES = _RNG.normal(size=(IDENTITIES, INPUTS)).astype(np.float32)
_WEIGHTS = {
    "W1": _RNG.normal(size=(HIDDEN, INPUTS)) / np.sqrt(INPUTS),
    "b1": np.zeros(HIDDEN),
    "W2": _RNG.normal(size=(WIDTH, HIDDEN)) / np.sqrt(HIDDEN),
    "b2": np.zeros(WIDTH),
}


def embedder(*, scaled: bool = True) -> bytes:
    """x [N, 20] → Gemm, Tanh, Gemm → embedding [N, 16], of length 1 if it is scaled."""
    out = "z" if scaled else "embedding"
    nodes = [
        helper.make_node("Gemm", ["x", "W1", "b1"], ["a"], name="hidden", transB=1),
        helper.make_node("Tanh", ["a"], ["h"]),
        helper.make_node("Gemm", ["h", "W2", "b2"], [out], name="last", transB=1),
    ]
    if scaled:
        nodes += [
            helper.make_node("ReduceL2", ["z"], ["length"], axes=[1], keepdims=1),
            helper.make_node("Div", ["z", "length"], ["embedding"], name="scale"),
        ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", INPUTS])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", WIDTH])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in _WEIGHTS.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def samples(seed: int, each: int, who: range = range(IDENTITIES)) -> tuple[np.ndarray, np.ndarray]:
    """So many of each of these identities: x float32 [N, 20], y int [N]."""
    y = np.repeat(np.array(who), each)
    noise = np.random.default_rng(seed).normal(size=(len(y), INPUTS))
    return (_CENTRES[y] + 0.35 * noise).astype(np.float32), y


def asked(seed: int, each: int = 24, forget: int = 2) -> SharedBy:
    """To forget: one of them; the others, labelled, are those that lack it."""
    x, y = samples(seed, each)
    own = y == forget
    return SharedBy({"x": x[own]}, {"x": x[~own], "y": y[~own]})
