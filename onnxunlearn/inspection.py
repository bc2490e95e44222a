"""What a model is, before anything is done to it: inputs, logits, layers, and which ops LRP covers."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import onnx

from onnxunlearn import judge
from onnxunlearn.detectors.heads import detection_of, least_of
from onnxunlearn.digests import sha256
from onnxunlearn.engines import create_engine
from onnxunlearn.errors import InputError, OnnxUnlearnError, UnsupportedError
from onnxunlearn.frozen import freeze, plain
from onnxunlearn.graph import (
    EmbeddingOutput,
    Layer,
    Logits,
    Model,
    ModelSource,
    Node,
    class_rows,
    every_logits,
    find_embedding,
    find_layers,
    find_logits,
    find_scores,
    in_training,
    load,
    not_finite,
)
from onnxunlearn.graph.cells import RECURRENT
from onnxunlearn.graph.flow import carriers, sources
from onnxunlearn.graph.layers import EVERY_KIND
from onnxunlearn.graph.places import SUMMED, Detection, PlaceScores, summed_over_places
from onnxunlearn.inquiry.one_run import hindrance, may_not_end, one_sample, too_many
from onnxunlearn.inquiry.placing import places_of
from onnxunlearn.judge.report import declared_shape
from onnxunlearn.lowering import lower
from onnxunlearn.probes import Labels
from onnxunlearn.relevance import Composite, Propagator, parse_composite
from onnxunlearn.reverse import adjoint, path_between
from onnxunlearn.reverse.settle import settle
from onnxunlearn.tasks import AUTO, EMBEDDING

#: why no rules are shown where it is not said which output is meant
SEVERAL = "several outputs could hold class scores; choose one with --output-name"
_QUANTISED = (
    "QuantizeLinear",
    "DequantizeLinear",
    "QLinear",
    "MatMulInteger",
    "ConvInteger",
    "MatMulNBits",
    "QGemm",
)


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


def inspect(
    model: ModelSource,
    output_name: str | None = None,
    *,
    head: str | os.PathLike[str] | None = None,
    composite: str = "epsilon_plus",
    engine: str = "onnxruntime",
    task: str = AUTO,
) -> Inspection:
    """Describe a model. output_name: whose scores are meant, where several outputs could hold some. task:
    "embedding" where the output is one, whatever it looks like, else "auto". Raises InputError if it cannot
    be loaded or has no usable logits."""
    rules_for = parse_composite(composite)
    model = load(model)
    obstacle = hindrance(model)
    seen = lower(model) if obstacle else _seen(model, engine)
    if task not in (AUTO, EMBEDDING):
        raise InputError(f"task={task!r}: inspect takes {AUTO} or {EMBEDDING}; all others it tells by itself")
    given = find_embedding(seen, output_name) if task == EMBEDDING else None
    detection = None if head is not None or given else detection_of(model, output_name=output_name)
    placed = None if detection is None else detection[1].places
    if detection is None and given is None:
        placed = places_of(seen, output_name, head)
    heads = every_logits(seen) if placed is None and given is None else []
    several = output_name is None and len(heads) > 1
    found: Logits | EmbeddingOutput
    if placed is not None:
        found = _at_places(placed)
    else:
        found = given or (heads[0] if several else find_scores(seen, output_name))
    embedding = None if isinstance(found, Logits) else found
    logits = found if isinstance(found, Logits) else Logits(found.output, found.output, found.size, None)
    meant = not (embedding or several)  # whether it is known which scores are
    things = logits if detection is None else replace(logits, classes=len(detection[1].places.objects))
    labels = Labels.of(model, things) if meant else Labels(0)
    doubts: list[str] = []
    if several:
        obstacle = obstacle or SEVERAL
    elif obstacle is None and meant and logits.normaliser is None:
        logits, doubts = _as_it_runs(model, seen, logits, engine)
    ends = heads if several else [logits]
    if placed is not None:  # a detector has several heads
        ends = [replace(logits, tensor=scores) for scores in placed.scores]
    for end in ends:
        seen = end.within(seen)
    carrying = carriers(seen)  # the arithmetic of shapes and masks needs no adjoint
    inputs = [i.name for i in seen.inputs]
    nodes = list({n.index: n for end in ends for n in path_between(seen, inputs, end.tensor)}.values())
    ops = Counter(node.kind for node in nodes if any(o in carrying for o in node.outputs))
    layers = find_layers(seen, EVERY_KIND)
    editable = {layer.node.name for layer in layers}
    rules: tuple[RuleCount, ...] = ()
    if obstacle is None:
        rules, obstacle = _rules(model, seen, logits, placed, rules_for, engine)
    return Inspection(
        path=None if model.path is None else model.path.name,
        sha256=sha256(*model.content.pieces),
        bytes=len(model.content),
        ir_version=model.proto.ir_version,
        opsets=model.opsets,
        inputs={
            i.name: {"dtype": _dtype(i.type.tensor_type.elem_type), "shape": declared_shape(i)}
            for i in model.inputs
        },
        batch_size=model.batch_size,
        output=None if several else logits.output,
        logits=logits.tensor if meant else None,
        logits_of=(logits.of or None) if meant else None,
        normaliser=logits.normaliser if meant else None,
        behind=logits.behind if meant else (),
        classes=logits.classes if meant else None,
        outputs=tuple(ScoresSummary(h.output, h.tensor, h.classes, h.normaliser) for h in heads),
        labels=labels,
        head=_head(seen, logits, layers) if meant and placed is None else None,
        places=None if placed is None else _described(placed, None if detection is None else detection[1]),
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
        warnings=(
            *not_finite(model),
            *dict.fromkeys(line for end in ends for line in in_training(seen, end)),
            *labels.notes,
            *doubts,
        ),
    )


def _at_places(found: PlaceScores) -> Logits:
    return Logits(found.scores[0], found.outputs[0], found.classes, found.normaliser, behind=found.behind)


def _described(found: PlaceScores, detection: Detection | None) -> dict[str, Any]:
    """JSON-ready."""
    told = ("task", "scores", "class_axis", "place_axes", "classes", "normaliser", "background", "heads")
    said = {name: getattr(found, name) for name in (*told, "outputs", "output_axis", "decided", "behind")}
    if detection is None:
        return said
    parts = {"boxes": detection.boxes, "objectness": detection.objectness}
    more = {name: tuple(asdict(part) for part in own) for name, own in parts.items()}
    return {**said, **more, "decoded": detection.decoded, "said": tuple(detection.words())}


def _seen(model: Model, engine: str) -> Model:
    """Contrib and quantised ops as the plain ones that relevance sees, bodies in place of what holds them."""
    seen = lower(model)
    try:
        return settle(seen, one_sample(model), create_engine(engine))
    except (OnnxUnlearnError, MemoryError):  # named as the obstacle
        return seen


def _as_it_runs(model: Model, seen: Model, logits: Logits, engine: str) -> tuple[Logits, list[str]]:
    """The logits in the light of one sample: scores that are probabilities are no logits."""
    if may_not_end(seen) is not None:
        return logits, []
    try:
        said = judge.scores(model, logits, create_engine(engine), one_sample(model), model.batch_size or 1)
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


def _rules(
    model: Model,
    seen: Model,
    logits: Logits,
    places: PlaceScores | None,
    composite: Composite,
    engine: str,
) -> tuple[tuple[RuleCount, ...], str | None]:
    """Which rule goes where, or why relevance cannot be compiled. Where classes are said at places it starts
    from their sums over these, whose nodes are not the file's and not counted."""
    if not (ends := sources(seen)):
        return (), "no input is float, and none looks anything up in an embedding"
    if (why_not := too_many(seen) or may_not_end(seen)) is not None:
        return (), why_not
    try:
        if places is not None:
            seen = summed_over_places(seen, places, least_of(places))
            logits = find_logits(seen)
        propagator = Propagator(seen, logits, create_engine(engine), composite, ends)
        found = propagator.compiled(one_sample(model)).rules
    except OnnxUnlearnError as error:
        return (), str(error)
    except MemoryError:
        return (), "one sample does not fit into memory"
    counts = Counter((r.op, r.kind, r.rule) for r in found if not r.node.startswith(SUMMED))
    return tuple(RuleCount(*key, n) for key, n in sorted(counts.items())), None


def _dtype(element_type: int) -> str:
    return str(onnx.TensorProto.DataType.Name(element_type)).lower()
