import sys

import pytest

from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.methods import Workbench, run_method
from onnxunlearn.methods.outcome import Outcome

from .benches import bench


def test_unknown_methods_and_parameters_are_named_with_what_there_is() -> None:
    with pytest.raises(
        InputError,
        match="unknown method 'magic'; known: auto, damp, erase, esc, head, leace, lra-npp, ",
    ):
        run_method("magic", bench(), {})
    with pytest.raises(InputError, match="'lra-npp' has no parameter 'bench'; known: k, m, layers, sub"):
        run_method("lra-npp", bench(), {"bench": 1})
    with pytest.raises(InputError, match="'mask' has no parameter 'k'; known: low"):
        run_method("mask", bench(), {"k": 1})


def test_auto_says_what_it_chose() -> None:
    details = run_method("auto", bench(), {}).details
    assert details["chosen"] == "erase"
    assert details["layers"] == ["/1/Gemm", "/3/Gemm"]
    alone = run_method("auto", bench(only=[3]), {}).details  # nothing to take for an example
    assert alone["chosen"] == "head"


def test_auto_goes_on_where_a_method_refuses_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Workbench) -> Outcome:
        raise UnsupportedError("not this model")

    policy = sys.modules["onnxunlearn.methods.auto"]
    monkeypatch.setattr(policy.Erasure, "outcome", lambda *_, **__: refused(bench()))
    assert run_method("auto", bench(), {}).details["chosen"] == "lra-npp"
    monkeypatch.setattr(policy, "lra_npp", refused)
    found = run_method("auto", bench(), {}).details
    assert found["chosen"] == "head"
    assert found["why"] == "erase: not this model; lra-npp: not this model"
