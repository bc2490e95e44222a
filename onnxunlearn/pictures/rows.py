"""Sheets of one-dimensional data, a row a sample: bars for tokens and tables, lines for series."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from onnxunlearn.pictures.canvas import FONT, HEADER, MARGIN, SCALE, Canvas, shortened
from onnxunlearn.pictures.colours import FAINT, INK, LINES, SOFT, colours
from onnxunlearn.pictures.pixels import limit_of
from onnxunlearn.pictures.sheet import Sample, Sheet

_WIDE, _NARROW, _HEIGHT, _GAP, _CAPTION, _HEAD = 8.4, 3.6, 0.8, 0.25, 0.22, 0.2
#: labels below bars are cut to this many letters, of this height in inches when they stand upright
_LETTERS, _LETTER = 10, 0.056
#: more bars an inch than this, and labels stand upright
_LYING = 2
#: this many bars an inch can bear a label each; of more, the strongest few are named
_LABELS_AN_INCH, _NAMED = 6.5, 8

#: paints one map of a sample: axes, sample, relevance, the scale, the largest magnitude on the sheet
Painter = Callable[[Axes, Sample, np.ndarray, float, float], None]


def draw_bars(sheet: Sheet) -> bytes:
    """The sheet as PNG. Samples' values are the names of the places, str [T]; their maps [T]."""
    panel = _panel(sheet)
    longest = max(len(shortened(str(name), _LETTERS)) for s in sheet.samples for name in s.value)
    upright = any(len(sample.value) > _LYING * panel for sample in sheet.samples)
    return _draw(sheet, _bars, 0.16 + longest * _LETTER if upright else 0.26)


def draw_series(sheet: Sheet) -> bytes:
    """The sheet as PNG. Samples' values are series [C, T]; their maps [T]."""
    return _draw(sheet, _lines, 0.12)


def _draw(sheet: Sheet, paint: Painter, foot: float) -> bytes:
    limit = limit_of(*sheet.scaled)
    largest = max(float(np.abs(r).max()) for sample in sheet.samples for r in sample.maps.values())
    columns, panel = sheet.columns, _panel(sheet)
    head = _HEAD if len(columns) > 1 else 0
    row = _CAPTION + _HEIGHT + foot
    width = 2 * MARGIN + len(columns) * panel + (len(columns) - 1) * _GAP
    canvas = Canvas(width, HEADER + head + len(sheet.samples) * row + SCALE)
    canvas.header(sheet.title, sheet.subtitle)
    for i, title in enumerate(columns if head else []):
        canvas.text(MARGIN + i * (panel + _GAP), HEADER + 0.02, title, 7, SOFT, bold=True)
    for i, sample in enumerate(sheet.samples):
        y = HEADER + head + i * row
        truth = "" if sample.truth is None else f"true {sample.truth}"
        for column, (title, relevance) in enumerate(sample.maps.items()):
            x = MARGIN + column * (panel + _GAP)
            said = sample.predictions.get(title)
            if said is not None:
                shift = 1.7 if column == 0 and truth else 0.0
                canvas.caption(x + shift, y + 0.05, panel - shift, said)
            if column == 0:
                canvas.text(x, y + 0.05, shortened(truth, 26), 7, SOFT)
            paint(canvas.axes(x, y + _CAPTION, panel, _HEIGHT), sample, relevance, limit, largest or 1.0)
    canvas.scale(limit, canvas.height - SCALE)
    return canvas.png()


def _panel(sheet: Sheet) -> float:
    return _WIDE if len(sheet.columns) == 1 else _NARROW


def _bars(axes: Axes, sample: Sample, relevance: np.ndarray, limit: float, largest: float) -> None:
    places = np.arange(len(relevance))
    edges = SOFT if len(places) <= 60 else "none"  # pale bars near zero would vanish without an edge
    # one collection: hundreds of patches of their own take seconds
    left, right, zero = places - 0.4, places + 0.4, np.zeros(len(places))
    corners = np.stack([left, zero, left, relevance, right, relevance, right, zero], axis=1)
    bars = PolyCollection(
        list(corners.reshape(-1, 4, 2)),
        facecolors=colours(relevance, limit),
        edgecolors=edges,
        linewidths=0.3,
    )
    axes.add_collection(bars, autolim=False)
    axes.axhline(0, color=FAINT, linewidth=0.6, zorder=0)
    axes.set_xlim(-0.7, len(places) - 0.3)
    axes.set_ylim(-1.08 * largest, 1.08 * largest)
    inches = axes.get_position().width * axes.figure.get_figwidth()  # type: ignore[union-attr]
    for place in _named(relevance, int(inches * _LABELS_AN_INCH)):
        axes.annotate(
            shortened(str(sample.value[place]), _LETTERS),
            (float(place), 0),
            (0, -3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            rotation=90 if len(places) > inches * _LYING else 0,
            ha="center",
            va="top",
            size=6,
            color=INK,
            family=FONT,
            parse_math=False,
        )


def _named(relevance: np.ndarray, room: int) -> list[int]:
    """Which places bear a label: all if there is room, else the strongest, none close to another."""
    if len(relevance) <= room:
        return list(range(len(relevance)))
    apart = -(-len(relevance) // room)
    found: list[int] = []
    for place in np.argsort(-np.abs(relevance), kind="stable"):
        if (
            relevance[place]
            and len(found) < _NAMED
            and all(abs(int(place) - other) >= apart for other in found)
        ):
            found.append(int(place))
    return found


def _lines(axes: Axes, sample: Sample, relevance: np.ndarray, limit: float, largest: float) -> None:
    steps = sample.value.shape[1]
    low, high = float(sample.value.min()), float(sample.value.max())
    room = 0.08 * (high - low) or 1.0
    axes.imshow(
        colours(relevance[None], limit),
        aspect="auto",
        interpolation="nearest",
        extent=(-0.5, steps - 0.5, low - room, high + room),
    )
    for series, colour in zip(sample.value, LINES, strict=False):
        axes.plot(series, color=colour, linewidth=0.9)
    axes.set_xlim(-0.5, steps - 0.5)
    axes.set_ylim(low - room, high + room)
