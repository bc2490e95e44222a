"""What a head file says of a detector besides its class scores: boxes, and how they are to be read."""

import os
from collections.abc import Sequence

from onnxunlearn.graph.flow import made_from
from onnxunlearn.graph.layers import find_layers
from onnxunlearn.graph.places.bands import SIDES
from onnxunlearn.graph.places.detection import IMAGE, Detection, Layout, Part
from onnxunlearn.graph.places.head_file import HeadFile
from onnxunlearn.graph.places.scores import Columns, PlaceScores
from onnxunlearn.graph.view import Model

#: what `box_form` may be -> how four numbers are a box; None: they say where something is to no one
_FORMS: dict[str, Layout | None] = {
    "cxcywh": "centre",
    "xyxy": "corners",
    "yxyx": "turned corners",
    "offsets": None,
}
_SCALES = {"image": IMAGE, "pixels": 1.0}


def read_detection(path: str | os.PathLike[str], model: Model) -> Detection | None:
    """As `read_head`, with boxes; None where the file speaks of something else."""
    file = _DetectorFile.of(path, model)
    return file.detection(file.read())


class _DetectorFile(HeadFile):
    def detection(self, places: PlaceScores) -> Detection | None:
        """places: what the file says of the class scores."""
        if places.task != "detection":
            return None
        if places.normaliser is None:
            raise self._wrong("normaliser", "is none: expected Softmax or Sigmoid, of a detector")
        if places.background is not None and places.independent:
            raise self._wrong(
                "background",
                f"{places.background}: with Sigmoid no column says that nothing is there; leave it out",
            )
        if places.background is None and not places.independent and not places.objectness:
            raise self._wrong("background", "is missing: expected the column that says that nothing is there")
        ways = places.columns or (tuple(range(places.classes)),)
        objects = tuple(way[c] for way in ways for c in places.objects)
        form = self._one_of("box_form", tuple(_FORMS)) if "box_form" in self._said else ""
        if not places.boxes and ("box_form" in self._said or "box_scale" in self._said):
            raise self._wrong("boxes", "are missing, of which box_form and box_scale are said")
        boxes = tuple(self._part("boxes", part, places.class_axis) for part in places.boxes)
        numbers = [len(part.columns) for part in boxes]
        sides = SIDES if form != "offsets" or not boxes else numbers[0]
        if sides % (SIDES * len(ways)) == 0:
            sides //= len(ways)
        each = f"{sides * len(ways)} columns, {sides} an anchor" if len(ways) > 1 else f"{sides} columns"
        if any(count != sides * len(ways) for count in numbers) and not _alone(boxes, sides):
            raise self._wrong("boxes", f"have {', '.join(map(str, numbers))} columns: expected {each}")
        objectness = tuple(self._part("objectness", p, places.class_axis) for p in places.objectness)
        if places.objectness and len(objectness) != len(places.scores):
            raise self._wrong(
                "objectness", f"is said {len(objectness)} times: expected one for each of scores"
            )
        for part in objectness:
            if len(part.columns) != len(ways):
                raise self._wrong(
                    "objectness", f"columns {list(part.columns)}: expected {len(ways)}, one for each anchor"
                )
        ends = tuple(name for name in places.scores if self._holds_scores_alone(name, places))
        if mixed := [] if places.heads else [name for name in places.scores if name not in ends]:
            raise self._wrong(
                "scores",
                f"{mixed[0]!r} holds more than class scores, and no layer makes it by itself: expected what "
                f"one makes, {self._made_by_layers(mixed[0])}",
            )
        outputs = [output.name for output in self._model.graph.output]
        return Detection(
            places,
            tuple(Part(name, places.class_axis, objects) for name in places.scores),
            normalised=False,
            boxes=boxes,
            decoded=bool(boxes) and form != "offsets",
            objectness=objectness,
            beside=tuple(dict.fromkeys([*outputs, *(part.tensor for part in (*boxes, *objectness))])),
            sides=sides,
            told=True,
            layout=_FORMS.get(form),
            scale=self._scale(),
            anchors_first=self._one_of("anchors", ("first", "last"), "last") == "first",
            ends=ends,
        )

    def _part(self, name: str, part: Columns, class_axis: int) -> Part:
        axis, shape = part.axis or class_axis, self._model.shapes.get(part.tensor)
        if shape is not None and axis >= len(shape):
            raise self._wrong(name, f"axis {axis}: {part.tensor!r} has axes 0 to {len(shape) - 1}")
        size = None if shape is None else shape[axis]
        if part.columns is None and size is None:
            raise self._wrong(name, f"columns are missing: how many {part.tensor!r} has is not known")
        columns = part.columns if part.columns is not None else tuple(range(size or 0))
        if size is not None and any(not 0 <= c < size for c in columns):
            raise self._wrong(name, f"columns {list(columns)}: expected numbers from 0 to {size - 1}")
        if len(set(columns)) < len(columns):
            raise self._wrong(name, f"columns {list(columns)}: expected different ones")
        return Part(part.tensor, axis, columns)

    def _made_by_layers(self, name: str) -> str:
        """Outputs of the layers next in front of a tensor, in words."""
        outputs = {layer.output for layer in find_layers(self._model)} - {name}
        behind = made_from(self._model, [name], outputs) & self._model.producer.keys()
        found = {tensor for made in behind for tensor in self._model.producer[made].inputs} & outputs
        return " or ".join(map(repr, sorted(found))) or "there is none in front"

    def _holds_scores_alone(self, name: str, places: PlaceScores) -> bool:
        shape = self._model.shapes.get(name)
        size = None if shape is None else shape[places.class_axis]
        return not places.columns or size == len({c for way in places.columns for c in way})

    def _scale(self) -> float | None:
        value = self._said.get("box_scale")
        if value is None or isinstance(value, str):
            return None if value is None else _SCALES[self._one_of("box_scale", tuple(_SCALES))]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise self._wrong("box_scale", f"{value!r}: expected image, pixels, or a number above 0")
        return float(value)


def _alone(boxes: Sequence[Part], sides: int) -> bool:
    """Whether each place of these tensors has one box, all anchors among the places."""
    return all(len(part.columns) == sides for part in boxes)
