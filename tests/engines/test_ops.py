"""Every op of the torch and numpy engines gives what ONNX Runtime gives."""

import pytest
from single_node import CASES, Case, assert_same

from onnxunlearn.engines import Engine, create_engine
from onnxunlearn.engines.numpy_ops import OPS
from onnxunlearn.engines.torch_ops import torch_op

ORT, NUMPY, TORCH = create_engine("onnxruntime"), create_engine("numpy"), create_engine("torch")


@pytest.mark.parametrize("engine", [NUMPY, TORCH], ids=lambda engine: engine.name)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_op_agrees_with_onnxruntime(case: Case, engine: Engine) -> None:
    have, want = case.run(engine), case.run(ORT)
    assert [a.dtype for a in have] == [b.dtype for b in want]
    assert_same(have, want)


@pytest.mark.parametrize("case", [case for case in CASES if not case.typed], ids=str)
def test_op_in_float64(case: Case) -> None:
    """ONNX Runtime lacks many float64 kernels, so it judges coarsely; numpy and torch judge each other."""
    double = case.in_float64()
    numpy, torch = double.run(NUMPY), double.run(TORCH)
    assert [a.dtype for a in numpy] == [b.dtype for b in torch]
    assert_same(numpy, torch, tolerance=1e-12)
    assert_same(torch, case.run(ORT))


def test_every_op_has_a_case() -> None:
    assert {op.__name__ for op in OPS} | set(torch_op) == {case.op for case in CASES} | {"Hardmax"}
