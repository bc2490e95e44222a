"""The edited model that pictures compare the original with."""

from onnxunlearn.errors import InputError
from onnxunlearn.graph import Logits, Model, ModelSource, find_logits, load
from onnxunlearn.judge.report import declared_shape
from onnxunlearn.lowering import lower
from onnxunlearn.pictures.subject import Subject, find_subject


def file_name(model: Model) -> str:
    """The file's name without its folder, which is nobody's business."""
    return "the model" if model.path is None else model.path.name


def counterpart(
    compare: ModelSource, model: Model, logits: Logits, subject: Subject
) -> tuple[Model, Logits, Subject]:
    """The edited model. Raises InputError unless it takes the same inputs and scores the same classes."""
    edited = load(compare)
    what = f"{file_name(edited)} cannot be compared with {file_name(model)}"
    if _takes(edited) != _takes(model):
        raise InputError(f"{what}: its inputs differ; give an edited copy of the same model")
    try:
        seen = lower(edited)
        edited_logits = find_logits(seen, logits.output)
    except InputError as error:
        raise InputError(f"{what}: {error}") from None
    if edited_logits.classes != logits.classes:
        raise InputError(f"{what}: it has {edited_logits.classes} classes, not {logits.classes}")
    found = find_subject(edited_logits.within(seen), edited_logits, subject.input)
    if found.kind != subject.kind:
        raise InputError(f"{what}: it reads input {subject.input!r} in another way")
    return edited, edited_logits, found


def _takes(model: Model) -> list[tuple[str, int, list[int | str]]]:
    return [(i.name, i.type.tensor_type.elem_type, declared_shape(i)) for i in model.inputs]
