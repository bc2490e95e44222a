"""Where a model says classes at places: pixels, tokens, anchors, queries."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

Kind = Literal["segmentation", "tagging", "detection"]
Normaliser = Literal["Softmax", "Sigmoid"]


@dataclass(frozen=True)
class Columns:
    """A part of what a model says at a place: a tensor, and which of its columns along an axis; None: all of
    them, along the class axis."""

    tensor: str
    columns: tuple[int, ...] | None = None
    axis: int | None = None


@dataclass(frozen=True)
class PlaceScores:
    """Tensors that hold a score of every class at every place.

    task: what the places are of: pixels (segmentation), tokens (tagging), boxes (detection). scores: tensors
    before the normaliser, [N, …], one for each head (of a detector one a scale). class_axis, place_axes: of
    these tensors. classes: how many, the background's column counted. normaliser: what stands behind the
    scores; None: the scores are taken as they are. background: the column that says "nothing here"; None
    where there is none. heads: names of the layers that make the scores, as `Layer.name` has them, one or
    more for each tensor. outputs: the graph's, that they lead to. columns: which channels along the class
    axis the classes are, for each way of reading `scores` (an anchor each); empty: all, in order. anchors:
    how many of these ways each of `scores` has, where they differ; empty: all. objectness, boxes: what else
    is said at the same places. output_axis: that of the classes in the output; None where it
    has none. ground: where classes decide for themselves, the score (before the normaliser) that one must
    have to be said; the last class, the background, is one more column of the view that holds it. decided:
    whether the output names the class alone (ArgMax). behind: what stands between the scores and the output,
    in words.
    """

    task: Kind
    scores: tuple[str, ...]
    class_axis: int
    place_axes: tuple[int, ...]
    classes: int
    normaliser: Normaliser | None
    outputs: tuple[str, ...]
    background: int | None = None
    heads: tuple[str, ...] = ()
    columns: tuple[tuple[int, ...], ...] = ()
    anchors: tuple[int, ...] = ()
    objectness: tuple[Columns, ...] = ()
    boxes: tuple[Columns, ...] = ()
    output_axis: int | None = None
    decided: bool = False
    ground: float | None = None
    behind: tuple[str, ...] = field(default=(), compare=False)

    @property
    def independent(self) -> bool:
        """Whether each class decides for itself."""
        return self.normaliser == "Sigmoid"

    def ways(self, head: int) -> tuple[tuple[int, ...], ...]:
        """The columns of each anchor in the tensor number `head` of `scores`; an empty one: all, in order."""
        every = self.columns or ((),)
        return every[: self.anchors[head]] if self.anchors else every

    def with_ground(self) -> "PlaceScores":
        """Where each class decides for itself, the same with one class more, the last: what a place is where
        no score is above one half. Of several that are, the largest says what it is."""
        if not self.independent:
            return self
        own = self.classes
        return replace(self, classes=own + 1, background=own, normaliser="Softmax", ground=0.0)

    def to_json(self, background: int | None) -> dict[str, Any]:
        """For reports. background: the column that says so, which data may tell where the graph does not."""
        return {
            "task": self.task,
            "scores": list(self.scores),
            "class_axis": self.class_axis,
            "place_axes": list(self.place_axes),
            "normaliser": self.normaliser,
            "heads": list(self.heads),
            "background": background,
        }

    @property
    def objects(self) -> tuple[int, ...]:
        """The columns that are classes of things, the background left out."""
        return tuple(c for c in range(self.classes) if c != self.background)
