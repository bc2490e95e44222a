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
from onnxunlearn.engines.batching import NotOfSamples
from onnxunlearn.errors import InputError, OnnxUnlearnError, UnsupportedError
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
from onnxunlearn.graph.flow import carriers, sources_of
from onnxunlearn.graph.layers import EVERY_KIND
from onnxunlearn.graph.places import SUMMED, Detection, PlaceScores, summed_over_places
from onnxunlearn.inquiry.one_run import hindrance, may_not_end, one_sample, too_many
from onnxunlearn.inquiry.placing import places_of
from onnxunlearn.inspected import Inspection, LayerSummary, RuleCount, ScoresSummary
from onnxunlearn.judge.report import declared_shape
from onnxunlearn.lowering import lower, renew
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
class _Outputs:
    """What the outputs of a model say. logits: of the one that is meant, else of the first. heads: all that
    could hold scores of a whole input. several: of these it is not known which is meant."""

    logits: Logits
    heads: Sequence[Logits] = ()
    several: bool = False
    embedding: EmbeddingOutput | None = None
    places: PlaceScores | None = None
    detection: Detection | None = None

    @classmethod
    def of(
        cls,
        model: Model,
        seen: Model,
        output_name: str | None,
        head: str | os.PathLike[str] | None,
        task: str,
    ) -> "_Outputs":
        if task == EMBEDDING:
            return cls._embedding(find_embedding(seen, output_name))
        detector = detection_of(model, output_name=output_name, head=head)
        detection = None if detector is None else detector[1]
        places = places_of(seen, output_name, head) if detection is None else detection.places
        if places is not None:
            tensor, output = places.scores[0], places.outputs[0]
            logits = Logits(tensor, output, places.classes, places.normaliser, behind=places.behind)
            return cls(logits, places=places, detection=detection)
        heads = every_logits(seen)
        if output_name is None and len(heads) > 1:
            return cls(heads[0], heads, several=True)
        found = find_scores(seen, output_name)
        return cls(found, heads) if isinstance(found, Logits) else cls._embedding(found, heads)

    @classmethod
    def _embedding(cls, found: EmbeddingOutput, heads: Sequence[Logits] = ()) -> "_Outputs":
        return cls(Logits(found.output, found.output, found.size, None), heads, embedding=found)

    @property
    def meant(self) -> Logits | None:
        """The logits; None where there are none, or it is not known which are meant."""
        return None if self.several or self.embedding is not None else self.logits

    @property
    def ends(self) -> Sequence[Logits]:
        """What is followed back to the inputs: a detector has several heads."""
        if self.places is not None:
            return [replace(self.logits, tensor=scores) for scores in self.places.scores]
        return self.heads if self.several else [self.logits]

    def labels(self, model: Model) -> Labels:
        """What the file calls the classes."""
        if self.meant is None:
            return Labels(0)
        objects = self.logits.classes if self.detection is None else len(self.detection.places.objects)
        return Labels.of(model, replace(self.logits, classes=objects))


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
    outputs = _Outputs.of(model, seen, output_name, head, task)
    labels, doubts = outputs.labels(model), list[str]()
    if outputs.several:
        obstacle = obstacle or SEVERAL
    elif obstacle is None and outputs.meant is not None and outputs.meant.normaliser is None:
        logits, doubts = _as_it_runs(model, seen, outputs.meant, engine)
        outputs = replace(outputs, logits=logits)
    logits, meant, ends, embedding = outputs.logits, outputs.meant, outputs.ends, outputs.embedding
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
        rules, obstacle = _rules(model, seen, logits, outputs.places, rules_for, engine)
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
        output=None if outputs.several else logits.output,
        logits=None if meant is None else meant.tensor,
        logits_of=None if meant is None else meant.of or None,
        normaliser=None if meant is None else meant.normaliser,
        behind=() if meant is None else meant.behind,
        classes=None if meant is None else meant.classes,
        outputs=tuple(ScoresSummary(h.output, h.tensor, h.classes, h.normaliser) for h in outputs.heads),
        labels=labels,
        head=None if meant is None or outputs.places is not None else _head(seen, meant, layers),
        places=_places(outputs),
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


def _places(outputs: _Outputs) -> dict[str, Any] | None:
    """JSON-ready."""
    if (found := outputs.places) is None:
        return None
    told = ("task", "scores", "class_axis", "place_axes", "classes", "normaliser", "background", "heads")
    said = {name: getattr(found, name) for name in (*told, "outputs", "output_axis", "decided", "behind")}
    if (detection := outputs.detection) is None:
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
    except NotOfSamples as error:
        return logits, [str(error)]
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
    made_by = logits.tensor if places is None else places.scores[0]
    if not (ends := sources_of(seen, made_by)):
        return (), "no input is float, and none looks anything up in an embedding"
    if (why_not := too_many(seen) or may_not_end(seen)) is not None:
        return (), why_not
    try:
        if places is not None:
            seen = summed_over_places(renew(seen), places, least_of(places))
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
