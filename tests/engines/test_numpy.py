"""The numpy engine's replacements of reference ops hold for every opset, also inside functions."""

import numpy as np
import pytest

from onnxunlearn.engines import create_engine
from tests.engines.single_node import REDUCTIONS, SPATIAL, Case, assert_same

NUMPY = create_engine("numpy")

#: ops whose attributes mean the same in all opsets, one case each
SAME = ("Conv", "ConvTranspose", "MaxPool", "AveragePool", "BatchNormalization", "LRN")
EVERY_OPSET = {case.op: case for case in [*SPATIAL, *REDUCTIONS] if case.op in SAME and case.outputs == 1}


@pytest.mark.parametrize("op", EVERY_OPSET)
def test_same_result_in_every_opset(op: str) -> None:
    case = EVERY_OPSET[op]
    want = case.run(NUMPY)
    for opset in range(7, 25):
        assert_same(Case(op, case.inputs, case.attributes, opset).run(NUMPY), want, tolerance=0)


def test_gelu_uses_the_fast_erf() -> None:
    """Gelu is a function of Erf, which costs seconds on a million elements in the reference."""
    x = np.linspace(-6, 6, 1_000_000, dtype=np.float32)
    case = Case("Gelu", [x], opset=20)
    assert_same(case.run(NUMPY), case.run(create_engine("onnxruntime")), tolerance=1e-6)


@pytest.mark.parametrize("opset", [11, 13, 19])
@pytest.mark.parametrize("scale", [0.6, 1.5, 2.3])
def test_corners_are_aligned_where_a_scale_gives_no_whole_size(opset: int, scale: float) -> None:
    image, nothing = np.arange(35, dtype=np.float32).reshape(1, 1, 5, 7) ** 2, np.zeros(0, np.float32)
    attributes = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    resize = Case("Resize", [image, nothing, np.array([1, 1, scale, 1.3], np.float32)], attributes, opset)
    assert_same(resize.run(NUMPY), resize.run(create_engine("onnxruntime")), tolerance=1e-5)
