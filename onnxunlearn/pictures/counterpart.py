"""The edited model that pictures compare the original with."""

import os

from onnxunlearn.errors import InputError
from onnxunlearn.explained import Explained
from onnxunlearn.graph import Model, ModelSource, load
from onnxunlearn.judge.report import declared_shape
from onnxunlearn.pictures.subject import Subject, find_subject


def file_name(model: Model) -> str:
    """The file's name without its folder, which is nobody's business."""
    return "the model" if model.path is None else model.path.name


def counterpart(
    compare: ModelSource,
    original: Explained,
    subject: Subject,
    head: str | os.PathLike[str] | None = None,
) -> tuple[Explained, Subject]:
    """The edited model. Raises InputError unless it takes the same inputs and scores the same classes."""
    edited = load(compare)
    what = f"{file_name(edited)} cannot be compared with {file_name(original.file)}"
    if _takes(edited) != _takes(original.file):
        raise InputError(f"{what}: its inputs differ; give an edited copy of the same model")
    try:
        other = Explained.of(edited, original.output, head, original.labels)
    except InputError as error:
        raise InputError(f"{what}: {error}") from None
    if other.logits.classes != original.logits.classes:
        raise InputError(f"{what}: it has {other.logits.classes} classes, not {original.logits.classes}")
    found = find_subject(other.logits.within(other.seen), other.logits, subject.input)
    if found.kind != subject.kind:
        raise InputError(f"{what}: it reads input {subject.input!r} in another way")
    return other, found


def _takes(model: Model) -> list[tuple[str, int, list[int | str]]]:
    return [(i.name, i.type.tensor_type.elem_type, declared_shape(i)) for i in model.inputs]
