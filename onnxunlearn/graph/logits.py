"""Find the tensor in which a class is one number: the logits."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import onnx

from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph.ending import (
    Base,
    Columns,
    Embedding,
    Plain,
    Reader,
    Reading,
    Scores,
    count_classes,
    selected,
    whole_origin,
)
from onnxunlearn.graph.ending.made import Made, make
from onnxunlearn.graph.tensors import FLOATS
from onnxunlearn.graph.view import Model

#: what turns class scores into a map from class to score, as exporters of scikit-learn do
_MAP = "ai.onnx.ml::ZipMap"
#: how far probabilities that a runtime rounds may be from a sum of 1
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Logits:
    """tensor: name of the logits, [N, classes] once trailing axes of length 1 are dropped.

    output: the graph output they lead to. normaliser: what the scores are of the logits, whatever ops it is
    written in: "Softmax", "LogSoftmax", "Sigmoid", "LogSigmoid", "Exp" (in proportion to probabilities), or
    None where they are the logits, but for what is the same for all classes. scores: the last tensor that
    holds the scores, the output itself unless that is a map of classes or names only some of them; empty for
    the same. behind: all that stands between logits and output, in words. made: nodes that make the logits
    where the file has no such tensor, and `of` what; see `within`. lost: the node behind which it is not
    known what was made of probabilities. top: the probability that the scores give a class that is certain,
    where each decides for itself; 1 but for percents.
    """

    tensor: str
    output: str
    classes: int
    normaliser: str | None
    scores: str = ""
    behind: tuple[str, ...] = field(default=(), compare=False)
    made: Made | None = field(default=None, compare=False, repr=False)
    of: str = field(default="", compare=False)
    lost: str | None = field(default=None, compare=False)
    top: float = field(default=1.0, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "scores", self.scores or self.output)

    @property
    def independent(self) -> bool:
        """Whether each class decides for itself, so that a sample may have several, or none."""
        return self.normaliser in {"Sigmoid", "LogSigmoid"}

    @property
    def threshold(self) -> float:
        """The score above which a class that decides for itself is given."""
        half = 0.5 * self.top
        return {"Sigmoid": half, "LogSigmoid": float(np.log(half))}.get(self.normaliser or "", 0.0)

    @property
    def sources(self) -> frozenset[str]:
        """The tensors of the file that the logits are, or are made of."""
        if self.made is None:
            return frozenset({self.tensor})
        inner = {name for node in self.made.nodes for name in node.output}
        constants = {tensor.name for tensor in self.made.constants}
        return frozenset(n for node in self.made.nodes for n in node.input) - inner - constants

    def by_itself(self, scores: np.ndarray) -> np.ndarray:
        """The probability of each class, [N, classes], where each decides for itself."""
        values = scores.astype(np.float64)
        return np.asarray((np.exp(values) if self.normaliser == "LogSigmoid" else values) / self.top)

    def within(self, model: Model) -> Model:
        """The model with the logits among its tensors; itself where they are."""
        return model if self.made is None else self.made.within(model)

    def as_seen(self, model: Model, scores: np.ndarray) -> "Logits":
        """What is meant once scores [N, classes] are known: numbers that were taken for logits, but are
        probabilities on every sample, are those of their logarithms. scores: of several samples."""
        if self.normaliser is not None or not are_probabilities(scores):
            return self
        width = Columns.of(Base(self.scores, "log"), (1, self.classes)).sample()
        made = make(model, width, _name(self.scores))
        behind, of = ("sum of 1", *self.behind), f"log of {self.scores}"
        return replace(self, tensor=made.name, made=made, of=of, normaliser="Softmax", behind=behind)

    def doubts(self, scores: np.ndarray) -> list[str]:
        """What must be said of scores [N, classes] whose way from the logits was not found, in lines."""
        if self.normaliser is not None:
            return []
        behind = f" behind {self.lost}" if self.lost else ""
        if are_probabilities(scores):
            return [
                f"output {self.output!r}: its scores are probabilities, but what makes them add up to 1 was "
                f"not found{behind}; their logarithms are taken for logits"
            ]
        if self.lost and (scores >= 0).all() and (scores <= 1).all():
            return [
                f"output {self.output!r}: what {self.lost} makes of probabilities is not known; its scores "
                "are taken for logits"
            ]
        return []


def are_probabilities(scores: np.ndarray) -> bool:
    """Whether every sample's scores are not negative, and add up to 1."""
    totals = scores.astype(np.float64).sum(axis=1)
    return bool(len(scores) and (scores >= 0).all() and np.abs(totals - 1).max() <= _ROUNDING)


def find_logits(model: Model, output_name: str | None = None) -> Logits:
    """The logits behind `output_name`, or behind the only output that can hold class scores.

    Raises InputError if there is no such output, it is an embedding, or more than one could be meant and none
    was named; UnsupportedError if it is made by decision trees or the like.
    """
    found = find_scores(model, output_name)
    if isinstance(found, Logits):
        return found
    raise InputError(
        f"output {found.output!r} is an embedding, not class scores: its {found.size} numbers a sample are "
        f"scaled to length 1 by {found.by}; give a classifier, or forget an identity with --forget-samples"
    )


@dataclass(frozen=True)
class EmbeddingOutput:
    """An output that is no classifier's. size: numbers a sample. by: the node that scales to length 1; empty
    where none does."""

    output: str
    size: int
    by: str


def find_scores(model: Model, output_name: str | None = None) -> Logits | EmbeddingOutput:
    """Likewise, but an embedding is told, where the model has nothing else or it was named."""
    outputs = {o.name: o for o in model.graph.output}
    reader = Reader(model)
    if output_name is not None:
        if output_name not in outputs:
            raise InputError(f"no output {output_name!r}; the model has: {', '.join(outputs)}")
        found = _trace(model, reader, outputs[output_name])
        if found is None:
            raise InputError(f"output {output_name!r} holds no class scores (expected float [N, classes])")
        return found
    traced = [found for o in outputs.values() if (found := _trace(model, reader, o)) is not None]
    candidates = _distinct(model, traced)
    if not candidates and traced:
        return traced[0]
    if not candidates:
        _refuse_trees(model)
        single = next((name for name in outputs if model.shapes.get(name, (0,))[-1:] == (1,)), None)
        why = (
            f"{single!r} is one score, but each class needs its own" if single else "it must be a classifier"
        )
        raise InputError(
            f"no usable logits: none of the outputs {', '.join(outputs)} is float [N, classes]; {why}"
        )
    if len(candidates) > 1:
        names = ", ".join(each.output for each in candidates)
        raise InputError(f"several outputs could hold class scores: {names}; choose one with --output-name")
    return candidates[0]


def find_embedding(model: Model, output_name: str | None = None) -> EmbeddingOutput:
    """The output of a model that the user calls an embedding: the one of that name, that which is scaled to
    length 1, or the only one that is float [N, numbers]. Raises InputError if there is none, or several."""
    outputs = {o.name: o for o in model.graph.output}
    if output_name is not None and output_name not in outputs:
        raise InputError(f"no output {output_name!r}; the model has: {', '.join(outputs)}")
    reader, found = Reader(model), list[EmbeddingOutput]()
    for output in [outputs[output_name]] if output_name is not None else outputs.values():
        kind = model.element_types.get(output.name, onnx.TensorProto.UNDEFINED)
        size = count_classes(model, output.name)
        if size is not None and kind in FLOATS | {onnx.TensorProto.UNDEFINED}:
            reading = reader.read(output.name)
            traced = _trace(model, reader, output)
            if isinstance(traced, Logits) and traced.normaliser is not None:
                continue  # probabilities are no embedding
            scaled = reading.by if isinstance(reading, Embedding) else ""
            found.append(EmbeddingOutput(output.name, size, scaled))
    found = [each for each in found if each.by] or found
    if not found:
        raise InputError(
            f"no embedding: none of the outputs {', '.join(outputs)} is float [N, numbers], of numbers that "
            "are no probabilities"
        )
    if len(found) > 1:
        names = ", ".join(each.output for each in found)
        raise InputError(f"several outputs could be an embedding: {names}; choose one with --output-name")
    return found[0]


def every_logits(model: Model) -> list[Logits]:
    """All that could hold class scores, of outputs that say the same the first one, in their order."""
    reader = Reader(model)
    traced = [_trace(model, reader, output) for output in model.graph.output]
    return _distinct(model, [found for found in traced if found is not None])


def _distinct(model: Model, traced: Sequence[Logits | EmbeddingOutput]) -> list[Logits]:
    found = [each for each in traced if isinstance(each, Logits)]
    # What only names classes counts where nothing holds the scores of all.
    found = [each for each in found if selected(model, each.output) is None] or found
    return [each for i, each in enumerate(found) if each.tensor not in {f.tensor for f in found[:i]}]


def _refuse_trees(model: Model) -> None:
    for node in model.nodes:
        if node.traits.opaque:
            raise UnsupportedError(f"{node} keeps what it knows in its attributes, not in weights")


def _trace(model: Model, reader: Reader, output: onnx.ValueInfoProto) -> Logits | EmbeddingOutput | None:
    end = model.producer.get(output.name)
    scores = end.inputs[0] if end is not None and end.kind == _MAP else output.name
    picked = selected(model, scores)
    kind = model.element_types.get(scores, 0) if picked is None else onnx.TensorProto.FLOAT
    if kind not in FLOATS | {onnx.TensorProto.UNDEFINED}:
        return None
    scores = scores if picked is None else picked.scores
    found = reader.read(scores)
    if isinstance(found, Embedding):
        size = count_classes(model, scores)
        return None if size is None else EmbeddingOutput(output.name, size, found.by)
    logits = _logits(model, reader, scores) or _taken_as_they_are(model, found, scores)
    if logits is None:
        return None
    behind = logits.behind if picked is None else (*logits.behind, picked.what)
    return replace(logits, output=output.name, scores=scores, behind=behind)


def _taken_as_they_are(model: Model, found: Reading, scores: str) -> Logits | None:
    classes = count_classes(model, scores) if scores in model.activations else None
    lost = found.lost if isinstance(found, Plain) else None
    return None if classes is None else Logits(scores, scores, classes, None, lost=lost)


def _logits(model: Model, reader: Reader, name: str) -> Logits | None:
    """The z of a tensor that is a known function of it; None of any other."""
    found = reader.read(name)
    if not isinstance(found, Scores) or (not found.pure and found.curve.shift is None):
        return None
    columns = found.columns.sample()
    normaliser = _normaliser(found, complete=found.normalised and _is_complete(reader, columns))
    single = normaliser in {"Sigmoid", "LogSigmoid"}
    if single:
        columns = columns.shifted(found.curve.shift or 0.0)
    if single and _are_complements(columns):
        columns, normaliser = columns.scaled(0.5), "LogSoftmax" if found.log else "Softmax"
    elif not single and np.ptp(columns.offset) < 1e-9:
        columns = columns.shifted(-columns.offset)  # the same for all classes
    classes, top = len(columns.offset), found.curve.height if single else 1.0
    notes = found.notes if top == 1 else (*found.notes, f"× {top:.3g}")
    first = normaliser or "less a number of each sample's own"
    behind = ("Softmax" if normaliser == "Exp" and found.rows else first, *notes)
    if not columns.terms or any(base.tensor not in model.activations for base in columns.terms):
        return None
    if (whole := whole_origin(reader, columns)) is not None:
        (base,) = whole.terms
        count = count_classes(model, base.tensor)
        if count is not None:
            return Logits(base.tensor, name, count, normaliser, behind=behind, top=top)
    if classes < 2 or (name in model.shapes and count_classes(model, name) is None):
        return None
    made = make(model, columns, _name(name))
    of = " + ".join(_words(columns))
    return Logits(made.name, name, classes, normaliser, behind=behind, made=made, of=of, top=top)


def _is_complete(reader: Reader, columns: Columns) -> bool:
    """Whether all numbers of each tensor are there, and once only."""
    return all(
        len(index) == reader.size(base.tensor) == len(np.unique(index))
        for base, (index, _) in columns.terms.items()
    )


def _are_complements(columns: Columns) -> bool:
    """Whether there are two classes, one of which is given where the other is not: p and 1 − p."""
    if len(columns.offset) != 2 or len(columns.terms) != 1 or columns.offset.sum():
        return False
    ((index, scale),) = columns.terms.values()
    return bool(index[0] == index[1] and scale.sum() == 0)


def _words(columns: Columns) -> list[str]:
    """What the logits are of the tensors before them."""
    parts = []
    for base, (index, scale) in columns.terms.items():
        words = f"{base.how} of {base.tensor}" if base.how else base.tensor
        index, scale = index[scale != 0], scale[scale != 0]  # beside other tensors it has not all classes
        if not np.array_equal(index, np.arange(len(index))):
            shown = ", ".join(map(str, index[:12].tolist())) + (", …" if len(index) > 12 else "")
            words += f" at {shown}"
        if np.ptp(scale):
            words += ", each times its own factor"
        elif scale[0] != 1:
            words += f" × {scale[0]:.4g}"
        parts.append(words)
    return [*parts, *(["a constant for each class"] if np.ptp(columns.offset) else [])]


def _name(scores: str) -> str:
    return f"logits of {scores}"


def _normaliser(found: Scores, *, complete: bool) -> str | None:
    """What the scores are of z; None where they are z, but for a number of each sample's own.

    complete: whether those of a sample add up to 1.
    """
    if not found.pure:
        return "LogSigmoid" if found.log else "Sigmoid"
    if complete:
        return "LogSoftmax" if found.log else "Softmax"
    return None if found.log else "Exp"
