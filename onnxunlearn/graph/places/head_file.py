"""A small YAML that says what a model says where, for one of which that cannot be told."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from onnxunlearn.errors import InputError
from onnxunlearn.graph.layers import find_layers
from onnxunlearn.graph.places.scores import Columns, PlaceScores
from onnxunlearn.graph.view import Model
from onnxunlearn.text import parse_yaml, read_text

_TASKS = ("segmentation", "tagging", "detection")
_KNOWN = {
    *("task", "output", "scores", "class_axis", "place_axes", "classes", "normaliser", "background", "heads"),
    *("output_axis", "decided", "objectness", "boxes", "columns", "box_form", "box_scale", "anchors"),
}


def read_head(path: str | os.PathLike[str], model: Model) -> PlaceScores:
    """What the file says of the model.

        task: segmentation          # or tagging, detection
        output: scores              # of the graph, where a class is said at each place
        scores: /head/Conv_output_0 # the tensor before the normaliser; default: the output. Or a list
        class_axis: 1               # of `scores`
        place_axes: [2, 3]
        classes: 21
        output_axis: 1              # of the output; none where it names the class alone (decided: true)
        normaliser: Softmax         # or Sigmoid, none
        background: 0               # the column that is none of a thing, or none
        heads: [/head/Conv]         # layers that make the scores

    Of a detector `scores` may be a list, of one tensor a scale, and besides:

        columns: [[1, 2, 3], [5, 6, 7]]             # of the classes, for each anchor of `scores`
        objectness: {tensor: t, columns: [4]}       # along the class axis; a list where `scores` is one
        boxes: {tensor: t, axis: 2, columns: [0, 1, 2, 3]}   # likewise; of several anchors one behind another
        box_form: cxcywh                            # or xyxy, yxyx, offsets; default: what fits best
        box_scale: image                            # shares of it; or pixels, or a number that makes them so
        anchors: first                              # boxes come one anchor behind another; default: last

    model: in plain float ops. Raises InputError in one line for a file that says anything else, or speaks of
    what the model has not.
    """
    return HeadFile.of(path, model).read()


class HeadFile:
    """What a file says, and the model that it speaks of."""

    def __init__(self, path: Path, said: Mapping[str, Any], model: Model) -> None:
        self._path, self._said, self._model = path, said, model

    @classmethod
    def of(cls, given: str | os.PathLike[str], model: Model) -> Self:
        """Raises InputError for a file that holds nothing of the kind."""
        path = Path(given)
        said = parse_yaml(read_text(path), path, "what the model says where, `task: segmentation` and so on")
        if not isinstance(said, Mapping) or not all(isinstance(name, str) for name in said):
            raise InputError(
                f"{path}: expected lines of `name: value`, `task: segmentation` first; correct it"
            )
        return cls(path, said, model)

    def read(self) -> PlaceScores:
        """The class scores at places."""
        if unknown := sorted(self._said.keys() - _KNOWN):
            raise self._wrong(unknown[0], f"is not known; known are {', '.join(sorted(_KNOWN))}")
        task = self._one_of("task", _TASKS)
        outputs = [output.name for output in self._model.graph.output]
        detects = task == "detection"
        first = outputs[0] if len(outputs) == 1 or detects else None
        output = self._one_of("output", outputs, first)
        scores = self._names("scores", [output], self._model.activations, "a tensor that the model computes")
        place_axes = self._numbers("place_axes", 1, 8)
        class_axis = self._number("class_axis", 1, 8)
        classes = self._number("classes", 2, 1 << 20)
        if class_axis in place_axes or len(set(place_axes)) < len(place_axes):
            raise self._wrong("place_axes", f"{place_axes} and class_axis {class_axis} share an axis")
        if place_axes != sorted(place_axes):
            raise self._wrong("place_axes", f"{place_axes}: expected them in order, {sorted(place_axes)}")
        for name in scores:
            self._fits(name, class_axis, place_axes, classes)
        decided = self._said.get("decided", False)
        if not isinstance(decided, bool):
            raise self._wrong("decided", f"{decided!r}: expected true or false")
        known = [layer.name for layer in find_layers(self._model)]
        made = [la.name for la in find_layers(self._model) if la.output in scores] if detects else []
        background = self._number("background", 0, classes - 1, None)
        axis = None
        if not detects:
            axis = self._number("output_axis", 1, 8, None if decided else class_axis)
            self._fits_output(output, axis, None if decided else classes, place_axes)
        shapes = self._model.shapes
        return PlaceScores(
            task=task,  # type: ignore[arg-type]
            scores=tuple(scores),
            class_axis=class_axis,
            place_axes=tuple(place_axes),
            classes=classes,
            normaliser=self._normaliser(),
            outputs=(output,),
            background=background,
            heads=tuple(self._names("heads", made, known, "a layer of the model, as inspect lists them")),
            columns=self._columns(classes, [shapes.get(name) for name in scores], class_axis),
            objectness=self._parts("objectness"),
            boxes=self._parts("boxes"),
            output_axis=axis,
            decided=decided,
        )

    def _fits(self, name: str, class_axis: int, place_axes: Sequence[int], classes: int) -> None:
        shape = self._model.shapes.get(name)
        if shape is None:
            return
        if sorted([0, class_axis, *place_axes]) != list(range(len(shape))):
            raise self._wrong(
                "place_axes",
                f"{list(place_axes)} and class_axis {class_axis} are not all axes of {name!r}, "
                f"which has {len(shape)} with that of the samples",
            )
        size = shape[class_axis]
        if size is not None and size != classes and "columns" not in self._said:
            raise self._wrong("classes", f"{classes}, but axis {class_axis} of {name!r} has {size}")

    def _fits_output(
        self, output: str, axis: int | None, classes: int | None, place_axes: Sequence[int]
    ) -> None:
        """classes: None where the output names the class alone."""
        if axis is None and classes:
            raise self._wrong("output_axis", "none: expected that of the classes, unless `decided: true`")
        shape = self._model.shapes.get(output)
        if shape is None:
            return
        if axis is not None and axis >= len(shape):
            raise self._wrong("output_axis", f"{axis}: {output!r} has axes 0 to {len(shape) - 1}")
        places = len(shape) - (1 if axis is None else 2)
        if places != len(place_axes):
            what = f"{list(place_axes)}: {output!r} says a class along {places} of its axes"
            raise self._wrong("place_axes", f"{what}; name scores in which there are as many")
        if axis is None:
            return
        if classes is None and shape[axis] not in (None, 1):
            raise self._wrong("decided", f"true: axis {axis} of {output!r} has {shape[axis]}, not one")
        if classes and shape[axis] not in (None, classes):
            sizes = " × ".join("?" if size is None else str(size) for size in shape)
            what = f"{axis}, which has {shape[axis]} in {output!r} ({sizes} with the axis of samples)"
            raise self._wrong("output_axis", f"{what}: expected the axis of the {classes} classes")

    def _normaliser(self) -> Any:
        value = self._said.get("normaliser")
        if value in (None, "none"):
            return None
        return self._one_of("normaliser", ("Softmax", "Sigmoid"))

    def _columns(
        self, classes: int, shapes: Sequence[Sequence[int | None] | None], axis: int
    ) -> tuple[tuple[int, ...], ...]:
        value = self._said.get("columns")
        if value is None or value == []:
            return ()
        rows = value if isinstance(value, list) and all(isinstance(row, list) for row in value) else [value]
        if not all(isinstance(row, list) and all(_is_whole(n) for n in row) for row in rows):
            raise self._wrong("columns", f"{value!r}: expected a list of numbers, or one for each anchor")
        if any(len(row) != classes or len(set(row)) < classes for row in rows):
            raise self._wrong("columns", f"{value!r}: expected {classes} different ones, one for each class")
        sizes = [size for shape in shapes if shape is not None and (size := shape[axis]) is not None]
        last = min(sizes, default=1 << 20) - 1
        if any(not 0 <= n <= last for row in rows for n in row):
            raise self._wrong("columns", f"{value!r}: expected numbers from 0 to {last}")
        if len({n for row in rows for n in row}) < len(rows) * classes:
            raise self._wrong("columns", f"{value!r}: expected no column of two anchors")
        return tuple(tuple(row) for row in rows)

    def _parts(self, name: str) -> tuple[Columns, ...]:
        value = self._said.get(name)
        if value is None:
            return ()
        found = []
        for part in value if isinstance(value, list) else [value]:
            keys = {"tensor", "columns", "axis"} if name == "boxes" else {"tensor", "columns"}
            if not isinstance(part, Mapping) or part.keys() - keys or "tensor" not in part:
                raise self._wrong(name, f"{part!r}: expected tensor: NAME and columns: [...]")
            tensor, columns = part["tensor"], part.get("columns")
            if not isinstance(tensor, str) or tensor not in self._model.activations:
                raise self._wrong(name, f"the model computes no tensor {tensor!r}")
            if columns is not None and not (isinstance(columns, list) and all(map(_is_whole, columns))):
                raise self._wrong(name, f"columns {columns!r}: expected a list of numbers")
            axis = part.get("axis")
            if axis is not None and not (_is_whole(axis) and 1 <= axis <= 8):
                raise self._wrong(name, f"axis {axis!r}: expected a whole number from 1 to 8")
            found.append(Columns(tensor, None if columns is None else tuple(columns), axis))
        return tuple(found)

    def _names(self, name: str, default: list[str], known: Any, what: str) -> list[str]:
        value = self._said.get(name, default)
        names = [value] if isinstance(value, str) else value
        strings = isinstance(names, list) and all(isinstance(each, str) for each in names)
        if not strings or (name == "scores" and not names):
            raise self._wrong(name, f"{value!r}: expected a name, or a list of names")
        for each in names:
            if each not in known:
                raise self._wrong(name, f"{each!r} is not {what}")
        if twice := next((each for each in names if names.count(each) > 1), None):
            raise self._wrong(name, f"{twice!r} is said twice; expected each once")
        return names

    def _one_of(self, name: str, allowed: Sequence[str], default: str | None = None) -> str:
        value = self._said.get(name, default)
        if value not in allowed:
            given = f"{value!r}: " if name in self._said else ""
            raise self._wrong(name, f"{given}expected {' or '.join(allowed)}")
        return str(value)

    def _number(self, name: str, low: int, high: int, default: Any = ...) -> Any:
        value = self._said.get(name, default)
        if value is default and default is not ...:
            return default
        if value in (None, "none") and default is not ...:
            return None
        if not _is_whole(value) or not low <= value <= high:
            given = f"{value!r}: " if name in self._said else "is missing: "
            raise self._wrong(name, f"{given}expected a whole number from {low} to {high}")
        return value

    def _numbers(self, name: str, low: int, high: int) -> list[int]:
        value = self._said.get(name)
        if (
            not isinstance(value, list)
            or not value
            or not all(_is_whole(n) and low <= n <= high for n in value)
        ):
            given = f"{value!r}: " if name in self._said else "is missing: "
            raise self._wrong(name, f"{given}expected a list of axes, e.g. [2, 3] (0 is of the samples)")
        return value

    def _wrong(self, name: str, what: str) -> InputError:
        return InputError(f"{self._path}: {name} {what}; correct it")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
