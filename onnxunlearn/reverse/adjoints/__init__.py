"""Op -> adjoint: how a signal at a node's output goes back to its inputs.

One function an op, registered with `@adjoint("Op")`: it reads the node through a `Site` and returns a
`LocalMap` (a `Linear` for nodes with a weight). What each rule makes of it is in `relevance.rules`. A line in
`CASES` of tests/reverse/test_adjoints.py tries it against finite differences on every engine.

May import engines, errors, graph, registry and reverse.
"""

from onnxunlearn.reverse.adjoints import (
    activations,
    arithmetic,
    attention,
    interpolation,
    linear,
    movement,
    normalisation,
    pooling,
    recurrent,
    scatter,
)
from onnxunlearn.reverse.adjoints.site import Site, adjoint

__all__ = [
    "Site",
    "activations",
    "adjoint",
    "arithmetic",
    "attention",
    "interpolation",
    "linear",
    "movement",
    "normalisation",
    "pooling",
    "recurrent",
    "scatter",
]
