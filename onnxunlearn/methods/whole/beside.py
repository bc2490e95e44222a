"""The loss of what a detector says besides classes: boxes, and whether there is anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph.places import Part

#: of its deviation over all places, what a box's number counts in: a tenth of it is half a box, or so
_UNIT = 0.1


@dataclass(frozen=True, eq=False)
class Beside:
    """parts: tensors and their columns, `width` numbers a place. unit: what each counts in, [width]. there:
    places that count, bool [N, places], in the order of the parts."""

    parts: tuple[Part, ...]
    width: int
    unit: np.ndarray
    there: np.ndarray

    @classmethod
    def of(
        cls, parts: Sequence[Part], width: int, there: np.ndarray, values: Mapping[str, np.ndarray]
    ) -> "Beside":
        """values: what the original says of some images, the first of `there`. Raises UnsupportedError where
        they are of other places."""
        own = cls(tuple(parts), width, np.ones(width, np.float32), there)
        rows = own.rows(values)
        if rows.shape[1] != there.shape[1]:
            raise UnsupportedError(
                f"{', '.join(part.tensor for part in parts)}: says something of {rows.shape[1]} places, "
                f"class scores are of {there.shape[1]}"
            )
        deviation = (
            rows[there[: len(rows)]].std(axis=0) if there[: len(rows)].any() else rows.std(axis=(0, 1))
        )
        unit = _UNIT * deviation + 1e-3 * float(np.abs(rows).mean()) + 1e-12
        return cls(own.parts, width, unit, there)

    def rows(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """What is said, [n, places, width]."""
        found = [_last(values[part.tensor], part)[..., list(part.columns)] for part in self.parts]
        return np.concatenate([rows.reshape(len(rows), -1, self.width) for rows in found], axis=1)

    def __call__(
        self,
        images: np.ndarray,
        values: Mapping[str, np.ndarray],
        before: Mapping[str, np.ndarray],
        weight: float,
        signals: Mapping[str, np.ndarray],
    ) -> float:
        """The loss; its gradient at each tensor is added to `signals`. images: which they are, int [n]."""
        there = self.there[images][..., None]
        moved = there * (self.rows(values) - self.rows(before)) / self.unit
        count = max(int(there.sum()), 1) * self.width
        slope, start = weight * 2 / count * moved / self.unit, 0
        for part in self.parts:
            signal = _last(signals[part.tensor], part)
            own = signal[..., list(part.columns)]
            end = start + own[0].size // self.width
            signal[..., list(part.columns)] = own + slope[:, start:end].reshape(own.shape)
            start = end
        return weight * float(np.sum(moved**2)) / count


def _last(values: np.ndarray, part: Part) -> np.ndarray:
    """A view with the part's axis at the end."""
    return np.moveaxis(values, part.axis, -1)
