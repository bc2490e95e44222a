"""What is recorded of samples where the end of a model begins."""

import numpy as np
import pytest
from onnx import helper

from onnxunlearn.engines import create_engine
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.methods.entering import Recorder
from tests.small_network import X, loaded, network


def test_a_sequence_is_no_tensor() -> None:
    """As in torch's bags of embeddings, which a Loop gathers."""
    parts = [
        helper.make_node("SplitToSequence", ["x"], ["parts"], axis=0),
        helper.make_node("ConcatFromSequence", ["parts"], ["f"], axis=0),
    ]
    recorder = Recorder(loaded(network(before=parts, read="f")), create_engine("onnxruntime"), 8, ["parts"])
    with pytest.raises(UnsupportedError, match="tensor 'parts' is a sequence, not a tensor"):
        recorder({"x": np.asarray(X[:8])})
