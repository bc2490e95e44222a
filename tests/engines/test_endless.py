"""A Loop that does not end is stopped, and said to be one."""

import numpy as np
import onnx
import pytest
from onnx import parser

from onnxunlearn import UnsupportedError
from onnxunlearn.engines import create_engine, endless
from onnxunlearn.graph import FileBytes, Model, find_logits
from onnxunlearn.inspection import inspect
from onnxunlearn.relevance import Propagator, parse_composite


def looping(times: int) -> onnx.ModelProto:
    """The Loop is not between the input's values and the logits, but all run it."""
    return parser.parse_model(
        f"""<ir_version: 8, opset_import: ["" : 17]>
        m (float[N, 4] x) => (float[N, 4] logits) <int64 n = {{{times}}}, bool c = {{1}}, int64[1] k = {{0}}>
        {{ s = Shape(x)  f = Cast<to = 1>(s)
           h = Loop(n, c, f) <body = b (int64 i, bool g, float[M] a) => (bool go, float[M] t)
               {{ go = Identity(g)  t = Tanh(a) }}>
           one = Gather(h, k)
           logits = Add(x, one) }}"""
    )


ONES = np.ones((2, 4), np.float32)


@pytest.mark.parametrize("engine", ["onnxruntime", "numpy"])
def test_a_loop_that_ends(engine: str) -> None:
    found = create_engine(engine).session(looping(2)).run({"x": ONES})["logits"]
    np.testing.assert_allclose(found, ONES + np.tanh(np.tanh(2)), rtol=1e-6)


@pytest.mark.parametrize("engine", ["onnxruntime", "numpy"])
def test_one_that_does_not(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endless, "LONGEST", 0.3)
    session = create_engine(engine).session(looping(2**62))
    with pytest.raises(UnsupportedError, match=f"{engine}: stopped after 0.3 s, since a Loop"):
        session.run({"x": ONES})


def test_relevance_of_such_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endless, "LONGEST", 0.3)
    proto = looping(2**62)
    model = Model(FileBytes(proto.SerializeToString()), proto)
    engine = create_engine()
    propagator = Propagator(model, find_logits(model), engine, parse_composite("epsilon"), ["x"])
    with pytest.raises(UnsupportedError, match="a Loop in the model does not seem to end"):
        next(propagator.run({"x": ONES}, np.zeros(2, int), 2))


def test_it_is_inspected_without_a_run() -> None:
    assert "op Loop, opset 17: how often it runs" in str(inspect(looping(2**62).SerializeToString()).obstacle)
