"""onnxunlearn: make frozen ONNX classifiers forget a class.

result = onnxunlearn.unlearn("model.onnx", forget=3, data="probes.npz")
result.save("model.unlearned.onnx")
print(result.report["figures"])

What a name needs is imported when it is asked for: `onnxunlearn --help` needs none of it.

May import errors, examine, explain, graph, inspection, judge, probes and unlearn.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

#: name -> module that has it
_FROM = {
    "Examination": "examine",
    "InputError": "errors",
    "OnnxUnlearnError": "errors",
    "Result": "unlearn",
    "SharedBy": "probes",
    "UnsupportedError": "errors",
    "diff": "judge",
    "examine": "examine",
    "explain": "explain",
    "inspect": "inspection",
    "load": "graph",
    "load_probes": "probes",
    "unlearn": "unlearn",
}


class _Face(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name not in _FROM:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"{__name__}.{_FROM[name]}"), name)
        super().__setattr__(name, found)
        return found

    def __setattr__(self, name: str, value: object) -> None:
        # Python hangs every imported module onto its package: `unlearn` stays the function of that name
        if not (name in _FROM and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *__all__})


sys.modules[__name__].__class__ = _Face
