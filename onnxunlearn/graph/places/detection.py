"""What a detector says: which columns of which tensors are classes, boxes, and whether there is anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from onnxunlearn.graph.places.scores import PlaceScores

#: how four numbers are a box
Layout = Literal["corners", "turned corners", "centre"]
#: in words
_LAYOUTS: dict[Layout, str] = {
    "corners": "two corners, x first",
    "turned corners": "two corners, y first",
    "centre": "centre and size",
}
#: in place of what boxes are multiplied by to be pixels: they are shares of the image
IMAGE = 0.0


@dataclass(frozen=True)
class Part:
    """Columns of a tensor of the graph along one of its axes; all other axes but that of samples are places,
    in the order in which the tensor holds them."""

    tensor: str
    axis: int
    columns: tuple[int, ...]


@dataclass(frozen=True)
class Detection:
    """Where a detector says what it says; of each kind one part, or one a scale.

    places: the class scores in front of the normaliser, head by head. scores: of each object, without the
    background, as far behind them as they are still told for all places. normalised: whether the normaliser
    is behind them already, and multiplied: whether objectness is in them. boxes: `sides` numbers a place, 4
    where they are decoded. decoded: whether boxes say where an object is, and not only how far it is from an
    anchor that the file does not hold. objectness: whether there is an object of any class; empty where
    nothing says so by itself. beside: tensors that all this is made of, but the class scores; ends: tensors
    of these scores beyond which none of that lies. told: whether a file says all this; layout, scale: what it
    says of boxes, see `judge.BoxForm`, None where what fits is to tell; anchors_first: whether boxes come
    anchor by anchor where scores of several lie side by side, and not place by place.
    """

    places: PlaceScores
    scores: tuple[Part, ...]
    normalised: bool
    boxes: tuple[Part, ...] = ()
    decoded: bool = False
    objectness: tuple[Part, ...] = ()
    multiplied: bool = False
    beside: tuple[str, ...] = ()
    sides: int = 4
    told: bool = False
    layout: Layout | None = None
    scale: float | None = None
    anchors_first: bool = False
    ends: tuple[str, ...] = ()

    @property
    def tensors(self) -> tuple[str, ...]:
        """All tensors that are read."""
        parts = (*self.scores, *self.boxes, *self.objectness)
        return tuple(dict.fromkeys(part.tensor for part in parts))

    def words(self) -> list[str]:
        """What was recognised, in lines."""
        lines = [f"class scores: {_listed(self.scores)}"]
        if self.boxes:
            how = "" if self.decoded else ", not decoded"
            how += "" if self.layout is None else f", {_LAYOUTS[self.layout]}"
            how += "" if self.scale is None else f", {_scaled(self.scale)}"
            lines.append(f"boxes: {_listed(self.boxes)}{how}")
        if self.objectness:
            lines.append(
                f"objectness: {_listed(self.objectness)}" + (", in the scores" if self.multiplied else "")
            )
        return lines


def _scaled(scale: float) -> str:
    if scale == IMAGE:
        return "in shares of the image"
    return "in pixels" if scale == 1 else f"in pixels once multiplied by {scale:g}"


def _listed(parts: Sequence[Part]) -> str:
    return "; ".join(f"{part.tensor!r} {_columns(part)}" for part in parts)


def _columns(part: Part) -> str:
    first, last = part.columns[0], part.columns[-1]
    if part.columns == tuple(range(first, last + 1)):
        return (
            f"columns {first} to {last} of axis {part.axis}"
            if last > first
            else f"column {first} of axis {part.axis}"
        )
    return f"{len(part.columns)} columns of axis {part.axis}"
