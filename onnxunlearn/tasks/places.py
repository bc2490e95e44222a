"""A class said at each place: a sample is an input and a place in it, of which the largest score wins."""

from typing import ClassVar

from onnxunlearn.errors import InputError
from onnxunlearn.graph.places import SCORES
from onnxunlearn.tasks.kind import task
from onnxunlearn.tasks.single_label import SingleLabel


class AtPlaces(SingleLabel):
    """Truth is the class at the place of each sample, int [N]; what is said at all places of whole inputs is
    scored by `judge.placed`."""

    name: ClassVar[str] = "places"

    def __post_init__(self) -> None:
        if self.logits.tensor != SCORES:
            raise InputError(
                f"task {self.name}: the model gives a class to a whole input, not to each of its places; "
                "give auto"
            )


@task("segmentation")
class Segmentation(AtPlaces):
    """A class for each pixel."""

    name: ClassVar[str] = "segmentation"


@task("tagging")
class Tagging(AtPlaces):
    """A class for each token."""

    name: ClassVar[str] = "tagging"


@task("detection")
class Detecting(AtPlaces):
    """A class, or nothing, for each anchor or query."""

    name: ClassVar[str] = "detection"
