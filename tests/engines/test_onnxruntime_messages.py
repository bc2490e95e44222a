"""ONNX Runtime's messages as a user gets them: one line, no lines of its source, nothing cut in a word."""

import pytest

from onnxunlearn.engines.onnxruntime_messages import said

SOURCE = (
    "[ONNXRuntimeError] : 1 : FAIL : Exception during initialization: /onnxruntime_src/core/state.cc:294 "
    "onnxruntime::common::Status onnxruntime::Save(const Env&, const std::__cxx11::basic_string<char>&, "
    f"{'const onnxruntime::Long&, ' * 40}int) map.MaxIdx() > -1 was false. Indexes should be there.\n"
)


@pytest.mark.parametrize(
    ("given", "passed_on"),
    [
        (SOURCE, "1 : FAIL : Exception during initialization: Indexes should be there."),
        (
            "[ONNXRuntimeError] : 1 : FAIL : Message: matmul_helper.h:59 Compute MatMul dimension mismatch",
            "1 : FAIL : Message: MatMul dimension mismatch",
        ),
        ("[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : no Relu(14)", "9 : NOT_IMPLEMENTED : no Relu(14)"),
        ("First.  " + "Second sentence. " * 30, "First. " + " ".join(["Second sentence."] * 17)),
        ("word " * 100, " ".join(["word"] * 60) + " … (the rest: see the log at level DEBUG)"),
    ],
    ids=["source", "helper", "short", "sentences", "words"],
)
def test_said(given: str, passed_on: str) -> None:
    assert said(Exception(given)) == passed_on
