"""What a figure or an attack found, in the one form that every renderer shows."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onnxunlearn.frozen import freeze
from onnxunlearn.judge.intervals import KEPT, Measured

if TYPE_CHECKING:
    from onnxunlearn.judge.evidence import Evidence

#: the table of the models side by side
MODELS = "models"
#: of what attackers find, in percent of the class's samples
ATTACKS = "what attackers find of the class"
#: how names of rows end that say by how much an attack finds less than in the mask and the reference
BELOW = "-below"
#: how names of rows begin that say how many of the class's samples are given it once something is changed
BROUGHT_BACK = "brought back by "
#: how names of rows begin that are about what samples share
CONCEPT = "concept "
#: how names of rows begin that are about an identity in an embedding
IDENTITY = "identity "
#: the table of each of several identities
EACH_IDENTITY = "each identity to forget"
#: the name of the row on inputs of no known class
UNNAMED = "unnamed"
#: how names of rows begin that are about what is said at places
PLACES = "places "
#: how names of rows begin that are about another output, before its own name
AGREEMENT, DRIFT = "agreement of output ", "drift of output "


@dataclass(frozen=True)
class Row:
    """One line of a table.

    name: as JSON and targets know it. title: as people read it. unit: "percent", "points", "bits", or "" for
    plain numbers. values: by column, which in the table MODELS is "original", "edited", "mask" or
    "reference". table: whose heading it is otherwise; "" for what only a target shows. note: what else one
    should know. by: who found it, "figure accuracy" or "attack head-refit"; `judge` says it.
    """

    name: str
    title: str
    unit: str
    values: Mapping[str, Measured]
    table: str = MODELS
    note: str = ""
    by: str = ""

    def __post_init__(self) -> None:
        freeze(self, "values")

    def to_json(self) -> dict[str, Any]:
        """Rounded to what so few samples can tell."""
        return {
            "name": self.name,
            "title": self.title,
            "unit": self.unit,
            "table": self.table,
            "values": {column: measured_json(m) for column, m in self.values.items()},
            "note": self.note,
            **({"by": self.by} if self.by else {}),
        }


def measured_json(measured: Measured) -> dict[str, Any]:
    """A figure with its bounds and samples; its unit if it is not that of the row."""
    found: dict[str, Any] = {
        name: None if (value := getattr(measured, name)) is None else round(float(value), KEPT)
        for name in ("value", "low", "high")
    }
    return found | {"samples": measured.samples} | ({"unit": measured.unit} if measured.unit else {})


#: one function: evidence in, rows out; none where it cannot be told
Examiner = Callable[["Evidence"], Iterator[Row]]
