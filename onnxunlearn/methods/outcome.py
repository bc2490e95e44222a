"""What a method is to the others: a function of the workbench that decides an outcome."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from onnxunlearn.edits import Edits
from onnxunlearn.registry import Registry


@dataclass(frozen=True)
class Outcome:
    """What a method decided. details: JSON-ready, what was chosen and why (neurons, k, m, trials)."""

    edits: Edits
    details: dict[str, Any]


Method = Callable[..., Outcome]
#: name -> function (workbench, **parameters) -> outcome
method: Registry[Method] = Registry("method", group="onnxunlearn.methods")
