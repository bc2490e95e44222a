"""Every op of the torch and numpy engines gives what ONNX Runtime gives."""

import numpy as np
import pytest
import torch

from onnxunlearn.engines import Engine, create_engine
from onnxunlearn.engines.numpy_ops import OPS
from onnxunlearn.engines.torch import import_model
from onnxunlearn.engines.torch_ops import tensor_of, torch_op
from tests.engines.single_node import CASES, Case, assert_same

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
    elsewhere = {"LSTM", "GRU", "RNN"} | {"Loop"}  # tests/relevance/test_recurrent.py, test_endless.py
    elsewhere |= {"Resize"}  # test_numpy.py; torch has none
    assert ({op.__name__ for op in OPS} | set(torch_op)) - elsewhere == {case.op for case in CASES}


def _is_smooth(case: Case) -> bool:
    """Worth a gradient check: data that are no integers, and no ties, where slopes jump."""
    x = case.inputs[0] if case.inputs else None
    return not case.typed and x is not None and x.dtype == np.float32 and bool((x % 1).any()) and x.ndim > 0


@pytest.mark.parametrize("case", [case for case in CASES if _is_smooth(case)], ids=str)
def test_torch_op_is_differentiable(case: Case) -> None:
    double = case.in_float64()
    module = import_model(double.model())
    feeds = {name: tensor_of(value) for name, value in double.feeds().items()}
    # Scalars are settings, such as what Pad fills in.
    points = {name: x.requires_grad_() for name, x in feeds.items() if x.is_floating_point() and x.ndim}

    def result(*values: torch.Tensor) -> torch.Tensor:
        return module.run(feeds | dict(zip(points, values, strict=True)))["y0"]

    if result(*points.values()).is_floating_point():
        assert torch.autograd.gradcheck(result, tuple(points.values()), fast_mode=True)
