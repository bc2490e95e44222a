"""What a model is, before anything is done to it: inputs, logits, layers, and which ops LRP covers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import numpy as np
import onnx

from onnxunlearn import judge
from onnxunlearn.digests import sha256
from onnxunlearn.engines import create_engine
from onnxunlearn.errors import OnnxUnlearnError, UnsupportedError
from onnxunlearn.frozen import freeze, plain
from onnxunlearn.graph import (
    Layer,
    Logits,
    Model,
    ModelSource,
    Node,
    class_rows,
    find_layers,
    find_scores,
    in_training,
    load,
    not_finite,
)
from onnxunlearn.graph.cells import RECURRENT
from onnxunlearn.graph.flow import carriers, sources
from onnxunlearn.graph.layers import EVERY_KIND
from onnxunlearn.graph.messages import messages
from onnxunlearn.judge.report import declared_shape
from onnxunlearn.lowering import lower
from onnxunlearn.lowering.bodies import OPEN
from onnxunlearn.probes import Labels
from onnxunlearn.probes.inputs import declared_inputs
from onnxunlearn.relevance import Composite, Propagator, parse_composite
from onnxunlearn.reverse import adjoint, path_between
from onnxunlearn.reverse.settle import settle

_QUANTISED = (
    "QuantizeLinear",
    "DequantizeLinear",
    "QLinear",
    "MatMulInteger",
    "ConvInteger",
    "MatMulNBits",
    "QGemm",
)
#: values that a tensor may have for one sample if the model is to be run for this: 256 MiB in float32
_LARGEST_TENSOR = 2**26
#: nodes that a model may have for this: some ten seconds
_MOST_NODES = 20_000


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
class Inspection:
    """covered, missing: op -> how many nodes between the inputs and the logits; missing ones stop LRP.

    normaliser, behind: what the scores are of the logits, and all that stands in between, in words.
    logits_of: what the logits are made of in memory, where the file has no such tensor. head: how the rows of
    a layer make the logits; None where row i simply makes class i. embedding: size and the node that scales
    to length 1, of an output that is no classifier's; then there are no logits.

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
    output: str
    logits: str | None
    logits_of: str | None
    normaliser: str | None
    behind: tuple[str, ...]
    classes: int | None
    labels: Labels
    head: str | None
    embedding: dict[str, Any] | None
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
        freeze(self, "opsets", "inputs", "embedding", "covered", "missing", "dtypes")

    def to_json(self) -> dict[str, Any]:
        return {**plain(asdict(self)), "labels": self.labels.to_json()}


def inspect(
    model: ModelSource,
    output_name: str | None = None,
    *,
    composite: str = "epsilon_plus",
    engine: str = "onnxruntime",
) -> Inspection:
    """Describe a model. Raises InputError if it cannot be loaded or has no usable logits."""
    rules_for = parse_composite(composite)
    model = load(model)
    hindrance = _hindrance(model)
    seen = lower(model) if hindrance else _seen(model, engine)
    found = find_scores(seen, output_name)
    embedding = None if isinstance(found, Logits) else found
    logits = found if isinstance(found, Logits) else Logits(found.output, found.output, found.size, None)
    labels = Labels(0) if embedding else Labels.of(model, logits)
    doubts: list[str] = []
    if hindrance is None and embedding is None and logits.normaliser is None:
        logits, doubts = _as_it_runs(model, seen, logits, engine)
    seen = logits.within(seen)
    carrying = carriers(seen)  # the arithmetic of shapes and masks needs no adjoint
    nodes = path_between(seen, [i.name for i in seen.inputs], logits.tensor)
    ops = Counter(node.kind for node in nodes if any(o in carrying for o in node.outputs))
    layers = find_layers(seen, EVERY_KIND)
    editable = {layer.node.name for layer in layers}
    rules, obstacle = ((), hindrance) if hindrance else _rules(model, seen, logits, rules_for, engine)
    return Inspection(
        path=None if model.path is None else model.path.name,
        sha256=sha256(model.data),
        bytes=len(model.data),
        ir_version=model.proto.ir_version,
        opsets=model.opsets,
        inputs={
            i.name: {"dtype": _dtype(i.type.tensor_type.elem_type), "shape": declared_shape(i)}
            for i in model.inputs
        },
        batch_size=model.batch_size,
        output=logits.output,
        logits=None if embedding else logits.tensor,
        logits_of=logits.of or None,
        normaliser=logits.normaliser,
        behind=logits.behind,
        classes=None if embedding else logits.classes,
        labels=labels,
        head=None if embedding else _head(seen, logits, layers),
        embedding=None if embedding is None else {"size": embedding.size, "by": embedding.by},
        layers=tuple(
            LayerSummary(
                layer.name,
                layer.node.kind,
                layer.kind,
                layer.neurons,
                tuple(layer.weight.shape),
                layer.bias is not None,
                layer.weight.shared,
                _stored_as(seen, layer),
            )
            for layer in layers
        ),
        weights_that_cannot_be_edited=tuple(
            node.name for node in nodes if _weighted(seen, node) and node.name not in editable
        ),
        covered={op: n for op, n in sorted(ops.items()) if op in adjoint},
        missing={op: n for op, n in sorted(ops.items()) if op not in adjoint},
        dtypes=dict(Counter(_dtype(t.data_type) for t in model.stored.values())),
        quantised=any(node.op.startswith(_QUANTISED) for node in model.nodes),
        composite=rules_for.name,
        rules=rules,
        obstacle=obstacle,
        warnings=(*not_finite(model), *in_training(seen, logits), *labels.notes, *doubts),
    )


def _seen(model: Model, engine: str) -> Model:
    """Contrib and quantised ops as the plain ones that relevance sees, bodies in place of what holds them."""
    seen = lower(model)
    try:
        return settle(seen, _example(model), create_engine(engine))
    except (OnnxUnlearnError, MemoryError):  # named as the obstacle
        return seen


def _as_it_runs(model: Model, seen: Model, logits: Logits, engine: str) -> tuple[Logits, list[str]]:
    """The logits in the light of one sample: scores that are probabilities are no logits."""
    if _may_not_end(seen) is not None:
        return logits, []
    try:
        said = judge.scores(model, logits, create_engine(engine), _example(model), model.batch_size or 1)
    except (OnnxUnlearnError, MemoryError, IndexError, ValueError):  # or is not what it is declared as
        return logits, []
    return logits.as_seen(seen, said), logits.doubts(said)


def _head(seen: Model, logits: Logits, layers: Sequence[Layer]) -> str | None:
    """How the rows of the last layers make the logits; None where there is nothing to say."""
    try:
        rows = class_rows(seen, logits, layers)
    except UnsupportedError as error:
        return f"not known: {error}"
    if rows.plain:
        return None
    return f"{', '.join(layer.name for layer in rows.layers[:4])}: {rows.words()}"


def _weighted(seen: Model, node: Node) -> bool:
    """Whether the node has a weight, known or computed; a product of two activations has none."""
    product = node.kind == "MatMul" and all(name in seen.activations for name in node.inputs)
    return (node.traits.linear and not product) or node.kind in RECURRENT


def _stored_as(seen: Model, layer: Layer) -> str:
    encoding = seen.encodings.get(layer.weight.name)
    return layer.weight.name if encoding is None else encoding.integers.name


def _hindrance(model: Model) -> str | None:
    """Why the model cannot be run for this, in a line; None if it can."""
    try:
        inputs = declared_inputs(model)
    except OnnxUnlearnError as error:
        return str(error)
    for given in inputs:
        if None in given.sizes[1:]:
            return f"input {given.name!r} has free sizes besides the batch"
    if len(model.nodes) > _MOST_NODES:
        return _too_many(model)
    sizes = {name: prod(d or 1 for d in shape) for name, shape in model.shapes.items()}
    largest = max(sizes, key=lambda name: sizes[name], default="")
    if largest and sizes[largest] > _LARGEST_TENSOR:
        return f"tensor {largest!r} alone has {sizes[largest]:,} values a sample"
    return None


def _too_many(model: Model) -> str:
    return f"with {len(model.nodes):,} nodes it would take minutes (shown up to {_MOST_NODES:,})"


def _rules(
    model: Model, seen: Model, logits: Logits, composite: Composite, engine: str
) -> tuple[tuple[RuleCount, ...], str | None]:
    """Which rule goes where, or why relevance cannot be compiled."""
    if not (ends := sources(seen)):
        return (), "no input is float, and none looks anything up in an embedding"
    if len(seen.nodes) > _MOST_NODES:
        return (), _too_many(seen)
    if (endless := _may_not_end(seen)) is not None:
        return (), endless
    try:
        propagator = Propagator(seen, logits, create_engine(engine), composite, ends)
        found = propagator.compiled(_example(model)).rules
    except OnnxUnlearnError as error:
        return (), str(error)
    except MemoryError:
        return (), "one sample does not fit into memory"
    counts = Counter((r.op, r.kind, r.rule) for r in found)
    return tuple(RuleCount(*key, n) for key, n in sorted(counts.items())), None


def _may_not_end(seen: Model) -> str | None:
    """A line on a Loop, anywhere in the model: a run to find out how often it runs might never end."""
    for node in seen.nodes:
        if any(inner.op_type == "Loop" for inner in (node.proto, *messages(node.proto, onnx.NodeProto))):
            within = "" if node.kind == "Loop" else "of a Loop in it, "
            return f"{node}: {within}{OPEN['Loop']}"
    return None


def _example(model: Model) -> dict[str, np.ndarray]:
    """One sample (or the batch that is baked in) of ones: enough to learn the shapes."""
    size = model.batch_size or 1
    return {i.name: np.ones([size, *(s or 1 for s in i.sizes[1:])], i.dtype) for i in declared_inputs(model)}


def _dtype(element_type: int) -> str:
    return str(onnx.TensorProto.DataType.Name(element_type)).lower()
