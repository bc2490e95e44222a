import numpy as np
import onnx
import pytest

from onnxunlearn import InputError, UnsupportedError, unlearn
from onnxunlearn.engines import create_engine
from onnxunlearn.errors import OnnxUnlearnError
from onnxunlearn.graph import load

from ..sample_paths import CNN, MLP, images, mlp, probes


def logits(data: bytes, x: np.ndarray) -> np.ndarray:
    return create_engine().session(onnx.load_model_from_string(data)).run({"x": x})["logits"]


def test_only_the_forgotten_logits_move() -> None:
    x, _ = images("mnist_test")
    result = unlearn(CNN, [3, 5], probes(), method="mask")
    before, after = logits(CNN.read_bytes(), x), logits(result.model_bytes, x)
    others = [c for c in range(10) if c not in (3, 5)]
    np.testing.assert_array_equal(after[:, others], before[:, others])
    assert (after[:, [3, 5]] < -9000).all()
    assert result.findings.target("relearned accuracy below").status == "missed"
    assert [(t["name"], t["rows"]) for t in result.report["changes"]["tensors"]] == [("9.bias", (3, 5))]
    assert result.report["figures"]["edited"] == result.report["figures"]["mask"]


def test_the_bias_may_be_chosen() -> None:
    result = unlearn(MLP, 3, probes(), method="mask", parameters={"low": -77})
    assert load(result.model_bytes).array("5.bias")[3] == -77


@pytest.mark.parametrize("low", ["abc", float("nan"), -float("inf"), 5, True, None])
def test_a_bias_that_masks_nothing_is_refused(low: object) -> None:
    with pytest.raises(InputError, match="mask: low="):
        unlearn(MLP, 3, probes(), method="mask", parameters={"low": low})


def test_without_a_bias_there_is_nothing_to_mask_by() -> None:
    proto = mlp()
    del proto.graph.node[-1].input[2]
    with pytest.raises(UnsupportedError, match=r"'/5/Gemm', op Gemm, opset 17 has no bias") as error:
        unlearn(proto.SerializeToString(), 3, probes(), method="mask")
    assert isinstance(error.value, OnnxUnlearnError)
    assert error.value.exit_code == 3
