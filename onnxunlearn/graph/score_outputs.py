"""Find the outputs that hold class scores, and the logits behind them; or the one that is an embedding."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx

from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph.ending import (
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
from onnxunlearn.graph.ending.made import make
from onnxunlearn.graph.layers import in_attributes
from onnxunlearn.graph.logits import Logits, name_of
from onnxunlearn.graph.tensors import FLOATS
from onnxunlearn.graph.view import Model

#: what turns class scores into a map from class to score, as exporters of scikit-learn do
_MAP = "ai.onnx.ml::ZipMap"


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
            why = _rows_of(model, output_name) or "expected float [N, classes]"
            raise InputError(f"output {output_name!r} holds no class scores ({why})")
        return found
    traced = [found for o in outputs.values() if (found := _trace(model, reader, o)) is not None]
    candidates = _distinct(model, traced)
    if not candidates and traced:
        return traced[0]
    if not candidates:
        _refuse_trees(model)
        single = next((name for name in outputs if model.shapes.get(name, (0,))[-1:] == (1,)), None)
        other = (
            f"{single!r} is one score, but each class needs its own" if single else "it must be a classifier"
        )
        why = next((f"{name!r} has {rows}" for name in outputs if (rows := _rows_of(model, name))), other)
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
            raise UnsupportedError(in_attributes(node))


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
    if _rows_of(model, scores):
        return None
    logits = _logits(model, reader, scores) or _taken_as_they_are(model, found, scores)
    if logits is None:
        return None
    behind = logits.behind if picked is None else (*logits.behind, picked.what)
    return replace(logits, output=output.name, scores=scores, behind=behind)


def _rows_of(model: Model, tensor: str) -> str:
    """How many rows a tensor has, in words, where these cannot be samples: detectors whose exports drop the
    axis of samples have one for each place. Empty where they may be."""
    rows, fed = (model.shapes.get(tensor) or (None,))[0], model.batch_size
    if rows is None or rows in (1, fed) or (fed is None and _inferred(model, tensor) != rows):
        return ""
    return f"{rows} rows for {fed or 'any number of'} sample{'' if fed == 1 else 's'}, of places perhaps"


def _inferred(model: Model, tensor: str) -> int | None:
    """Rows of a tensor by what its nodes do: whoever frees the number of samples that go in often leaves what
    is written of others as it was, and a runtime goes by the nodes."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    del proto.graph.value_info[:]
    for output in proto.graph.output:
        output.type.tensor_type.ClearField("shape")
    return (Model(model.content, proto, model.path, model.lent).shapes.get(tensor) or (None,))[0]


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
    made = make(model, columns, name_of(name))
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


def _normaliser(found: Scores, *, complete: bool) -> str | None:
    """What the scores are of z; None where they are z, but for a number of each sample's own.

    complete: whether those of a sample add up to 1.
    """
    if not found.pure:
        return "LogSigmoid" if found.log else "Sigmoid"
    if complete:
        return "LogSoftmax" if found.log else "Softmax"
    return None if found.log else "Exp"
