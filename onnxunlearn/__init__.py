"""onnxunlearn: make frozen ONNX classifiers forget a class.

result = onnxunlearn.unlearn("model.onnx", forget=3, data="probes.npz")
result.save("model.unlearned.onnx")
print(result.report["figures"])

May import errors, examine, explain, graph, inspection, judge, probes and unlearn.
"""

from onnxunlearn.errors import InputError, OnnxUnlearnError, UnsupportedError
from onnxunlearn.examine import Examination, examine
from onnxunlearn.explain import explain
from onnxunlearn.graph import load
from onnxunlearn.inspection import inspect
from onnxunlearn.judge import diff
from onnxunlearn.probes import SharedBy, load_probes
from onnxunlearn.unlearn import Result, unlearn

__all__ = [
    "Examination",
    "InputError",
    "OnnxUnlearnError",
    "Result",
    "SharedBy",
    "UnsupportedError",
    "diff",
    "examine",
    "explain",
    "inspect",
    "load",
    "load_probes",
    "unlearn",
]
