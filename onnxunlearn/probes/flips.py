"""Token sequences that a model takes for a class, found by exchanging tokens.

The loss of exchanging token a for b at a place is, to first order, (E_b − E_a)·g: E the embedding, g the
gradient at what was looked up there. At each step every sequence gets the exchange that promises most.

Source: HotFlip (Ebrahimi et al. 2018).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from onnxunlearn.graph import Model
from onnxunlearn.probes.pull import Pull


@dataclass(frozen=True, eq=False)
class Lookup:
    """An integer input and what its values are looked up in. output: the tensor of what is found."""

    input: str
    table: np.ndarray
    output: str


def lookups(model: Model) -> list[Lookup]:
    """The integer inputs that are indices into a stored table, as tokens are; largest table first."""
    names = {i.name for i in model.inputs}
    found = []
    for node in model.nodes:
        if node.kind != "Gather" or node.attribute("axis", 0) != 0:
            continue
        indices = node.inputs[1]
        maker = model.producer.get(indices)
        if maker is not None and maker.kind == "Cast":
            indices = maker.inputs[0]
        table = model.constant(node.inputs[0])
        if indices in names and table is not None and table.ndim == 2 and table.dtype.kind == "f":
            found.append(Lookup(indices, table, node.outputs[0]))
    return sorted(found, key=lambda lookup: -len(lookup.table))


def exchange(
    start: Mapping[str, np.ndarray],
    lookup: Lookup,
    pull: Pull,
    steps: int,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, np.ndarray]:
    """`start` after so many exchanges in each sequence; other inputs as they are."""
    tokens = start[lookup.input].copy()
    table = lookup.table.astype(np.float32)
    for step in range(steps):
        gradients = pull({**start, lookup.input: tokens})[lookup.output]
        for sequence, gradient in zip(tokens, gradients, strict=True):
            slopes = gradient @ table.T  # [places, tokens in the table]
            gain = slopes[np.arange(len(sequence)), sequence] - slopes.min(axis=1)
            place = int(gain.argmax())
            sequence[place] = int(slopes[place].argmin())
        progress(f"making probes: exchange {step + 1}/{steps}")
    return {**start, lookup.input: tokens}
