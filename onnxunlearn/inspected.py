"""What `inspect` gives: a model's inputs, logits, layers and ops, JSON-ready."""

from dataclasses import asdict, dataclass
from typing import Any

from onnxunlearn.frozen import freeze, plain
from onnxunlearn.probes import Labels


@dataclass(frozen=True)
class LayerSummary:
    """A weight that can be edited. neurons: its outputs. weight: canonical shape [outputs, inputs, *kernel].
    kind: see `graph.layers`."""

    name: str
    op: str
    kind: str
    neurons: int
    weight: tuple[int, ...]
    bias: bool
    shared: bool
    stored_as: str


@dataclass(frozen=True)
class RuleCount:
    """How many nodes of one op get a rule. kind: the family that composites match on."""

    op: str
    kind: str
    rule: str
    nodes: int


@dataclass(frozen=True)
class ScoresSummary:
    """An output that could hold class scores, and its logits."""

    output: str
    logits: str
    classes: int
    normaliser: str | None


@dataclass(frozen=True)
class Inspection:
    """outputs: all that could hold class scores. Where there are several, and none was named, output, logits
    and classes are None, and layers and ops those of all.

    covered, missing: op -> how many nodes between the inputs and the logits; missing ones stop LRP.
    normaliser, behind: what the scores are of the logits, and all that stands in between, in words.
    logits_of: what the logits are made of in memory, where the file has no such tensor. head: how the rows of
    a layer make the logits; None where row i simply makes class i. embedding: size and the node that scales
    to length 1, of an output that is no classifier's; then there are no logits. places: where classes are
    said at places: the task, the tensor of scores and its axes, the layers that make it.

    composite, rules: how many nodes of an op get which rule, found by compiling for one sample. obstacle:
    why that was not possible, in a line; None if it was. warnings: lines on weights that are not numbers, on
    nodes in training mode, on labels, and on scores whose meaning is in doubt. labels: what the file declares
    of the columns of the scores.
    """

    path: str | None
    sha256: str
    bytes: int
    ir_version: int
    opsets: dict[str, int]
    inputs: dict[str, dict[str, Any]]
    batch_size: int | None
    output: str | None
    logits: str | None
    logits_of: str | None
    normaliser: str | None
    behind: tuple[str, ...]
    classes: int | None
    outputs: tuple[ScoresSummary, ...]
    labels: Labels
    head: str | None
    embedding: dict[str, Any] | None
    places: dict[str, Any] | None
    layers: tuple[LayerSummary, ...]
    weights_that_cannot_be_edited: tuple[str, ...]
    covered: dict[str, int]
    missing: dict[str, int]
    dtypes: dict[str, int]
    quantised: bool
    composite: str
    rules: tuple[RuleCount, ...]
    obstacle: str | None
    warnings: tuple[str, ...]

    def __post_init__(self) -> None:
        freeze(self, "opsets", "inputs", "embedding", "places", "covered", "missing", "dtypes")

    def to_json(self) -> dict[str, Any]:
        return {**plain(asdict(self)), "labels": self.labels.to_json()}
