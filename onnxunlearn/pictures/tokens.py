"""Text whose background is relevance."""

from dataclasses import dataclass

import numpy as np

from onnxunlearn.pictures.colours import colours, ink_on
from onnxunlearn.pictures.pixels import limit_of
from onnxunlearn.pictures.sheet import Sample, Sheet


@dataclass(frozen=True)
class Span:
    """One token on the page. background, ink: `#rrggbb`. relevance: as shown on hovering."""

    token: str
    background: str
    ink: str
    relevance: str


def without_padding(sample: Sample) -> Sample:
    """Without the run of one token at the end that no map gives any relevance."""
    end = len(sample.value)
    while (
        end > 1
        and sample.value[end - 1] == sample.value[-1]
        and not any(r[end - 1] for r in sample.maps.values())
    ):
        end -= 1
    maps = {title: r[:end] for title, r in sample.maps.items()}
    return Sample(sample.value[:end], sample.truth, maps, sample.predictions)


def spans(sheet: Sheet) -> list[dict[str, list[Span]]]:
    """For each sample its text by map title, coloured on the sheet's scale."""
    limit = limit_of(*sheet.scaled)
    return [
        {title: _spans(sample.value, relevance, limit) for title, relevance in sample.maps.items()}
        for sample in sheet.samples
    ]


def _spans(tokens: np.ndarray, relevance: np.ndarray, limit: float) -> list[Span]:
    return [
        Span(str(token), _hexadecimal(colour), ink_on(colour), f"{value:+.3g}")
        for token, colour, value in zip(tokens, colours(relevance, limit), relevance, strict=True)
    ]


def _hexadecimal(colour: np.ndarray) -> str:
    return "#" + "".join(f"{round(255 * float(c)):02x}" for c in colour)
