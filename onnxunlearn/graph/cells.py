"""What LSTM, GRU and RNN say in their attributes: directions, and the activations of their gates."""

from collections.abc import Sequence
from dataclasses import dataclass

#: activations in the order f, g, h of the standard, for one direction
_DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
#: the ops
RECURRENT = tuple(_DEFAULTS)
#: alpha and beta where nobody gives them; None where they must be given, since the standard and ONNX Runtime
#: have defaults of their own
_PARAMETERS: dict[str, dict[str, float | None]] = {
    "Sigmoid": {},
    "Tanh": {},
    "Relu": {},
    "Softsign": {},
    "Softplus": {},
    "Affine": {"alpha": None, "beta": None},
    "LeakyRelu": {"alpha": 0.01},
    "ThresholdedRelu": {"alpha": None},
    "ScaledTanh": {"alpha": None, "beta": None},
    "HardSigmoid": {"alpha": 0.2, "beta": 0.5},
    "Elu": {"alpha": 1.0},
}
_CANONICAL = {name.lower(): name for name in _PARAMETERS}


@dataclass(frozen=True)
class CellActivation:
    """alpha, beta: 0 where the function has no such parameter."""

    name: str
    alpha: float = 0.0
    beta: float = 0.0


def runs_backwards(direction: str) -> list[bool]:
    """Of each direction whether it goes from the last step to the first."""
    return {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[direction]


def cell_activations(
    op: str, directions: int, names: Sequence[str], alphas: Sequence[float], betas: Sequence[float]
) -> list[list[CellActivation]]:
    """The activations of each direction, from the attributes of these names (empty where omitted).

    alpha and beta are handed out in order to the functions that have them. Raises ValueError for a function
    that the standard does not know, or that lacks a parameter.
    """
    default = _DEFAULTS[op]
    given = [*names][: len(default) * directions] or [*default] * directions
    if len(given) != len(default) * directions:
        raise ValueError(f"{len(given)} activations, expected {len(default) * directions}")
    remaining = {"alpha": [*alphas], "beta": [*betas]}
    found = []
    for name in given:
        if name.lower() not in _CANONICAL:
            raise ValueError(f"activation {name!r} is unknown")
        canonical = _CANONICAL[name.lower()]
        values = {}
        for parameter, default_value in _PARAMETERS[canonical].items():
            value = remaining[parameter].pop(0) if remaining[parameter] else default_value
            if value is None:
                raise ValueError(f"activation {canonical} without activation_{parameter}")
            values[parameter] = float(value)
        found.append(CellActivation(canonical, **values))
    size = len(default)
    return [found[d * size : (d + 1) * size] for d in range(directions)]
