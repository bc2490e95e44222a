"""One picture of all layers: the neurons that speak loudest, and how few carry most of it."""

from collections.abc import Sequence

import numpy as np

from onnxunlearn.pictures.canvas import FONT, HEADER, MARGIN, Canvas, shortened
from onnxunlearn.pictures.colours import EDITED, FAINT, INK, ORIGINAL, SOFT
from onnxunlearn.pictures.concentration import CARRIED, LayerRelevance, carriers, cumulative

#: neurons shown a layer
TOP = 12
_NAME, _BARS, _CURVE, _FACTS, _GAP, _ROW, _HEIGHT = 1.9, 4.2, 0.75, 1.5, 0.3, 0.95, 0.62


def draw_layers(layers: Sequence[LayerRelevance], subtitle: str) -> bytes:
    """A row a layer, in graph order, as PNG: its top neurons as bars, its curve of concentration.

    Bars are shares of the layer's positive relevance in the original; those of the edited model stand on
    the same scale, in front.
    """
    width = 2 * MARGIN + _NAME + _BARS + _CURVE + _FACTS + 2 * _GAP
    canvas = Canvas(width, HEADER + 0.28 + len(layers) * _ROW + 0.15)
    canvas.header("Layers", subtitle)
    bars, curve = MARGIN + _NAME, MARGIN + _NAME + _BARS + _GAP
    facts = curve + _CURVE + 0.5 * _GAP
    compared = any(layer.edited is not None for layer in layers)
    canvas.text(bars, HEADER + 0.02, f"top {TOP} neurons, share of positive relevance", 7, SOFT, bold=True)
    canvas.text(curve, HEADER + 0.02, "concentration", 7, SOFT, bold=True)
    if compared:
        canvas.text(bars + _BARS, HEADER + 0.02, "edited", 7, EDITED, align="right", bold=True)
        canvas.text(bars + _BARS - 0.5, HEADER + 0.02, "original", 7, ORIGINAL, align="right", bold=True)
    for i, layer in enumerate(layers):
        y = HEADER + 0.28 + i * _ROW
        canvas.text(MARGIN, y + 0.1, shortened(layer.name, 24), 8, bold=True)
        canvas.text(MARGIN, y + 0.26, f"{layer.op}, {len(layer.mean)} neurons", 7, SOFT)
        _bars(canvas, layer, bars, y)
        _curve(canvas, layer, curve, y)
        _facts(canvas, layer, facts, y)
    return canvas.png()


def _bars(canvas: Canvas, layer: LayerRelevance, x: float, y: float) -> None:
    axes = canvas.axes(x, y, _BARS, _HEIGHT, frame=False)
    top = layer.top(TOP)
    total = float(np.maximum(layer.mean, 0).sum()) or 1.0
    before = layer.mean[top] / total
    highest, lowest = float(before.max(initial=1e-9)), 0.0
    axes.bar(range(len(top)), before, 0.72, color=ORIGINAL, alpha=1.0 if layer.edited is None else 0.35)
    if layer.edited is not None:
        after = layer.edited[top] / total
        highest, lowest = max(highest, float(after.max(initial=0))), min(0.0, float(after.min(initial=0)))
        axes.bar(range(len(top)), after, 0.36, color=EDITED)
    axes.axhline(0, color=FAINT, linewidth=0.6, zorder=0)
    axes.set_xlim(-0.6, TOP - 0.4)
    axes.set_ylim(lowest, 1.25 * highest)
    for place, (neuron, share) in enumerate(zip(top, before, strict=True)):
        axes.annotate(
            str(neuron),
            (place, 0),
            (0, -3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            va="top",
            size=6.5,
            color=INK,
            family=FONT,
        )
        if place == 0:
            axes.annotate(
                f"{share:.0%}",
                (place, max(share, 0)),
                (0, 1.5),
                textcoords="offset points",
                ha="center",
                va="bottom",
                size=6.5,
                color=SOFT,
                family=FONT,
            )


def _curve(canvas: Canvas, layer: LayerRelevance, x: float, y: float) -> None:
    """Share of positive relevance over share of neurons, strongest first; the dot is at 80 %."""
    axes = canvas.axes(x, y, _CURVE, _HEIGHT)
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.6)
    for mean, colour in ((layer.edited, EDITED), (layer.mean, ORIGINAL)):
        if mean is None:
            continue
        curve = np.concatenate([[0.0], cumulative(mean)])
        axes.plot(np.linspace(0, 1, len(curve)), curve, color=colour, linewidth=1.2)
        if curve[-1]:
            share = carriers(mean)
            axes.plot([share], [curve[round(share * len(mean))]], "o", color=colour, markersize=3)
    axes.axhline(CARRIED, color=FAINT, linewidth=0.6, zorder=0)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.05)


def _facts(canvas: Canvas, layer: LayerRelevance, x: float, y: float) -> None:
    canvas.text(x, y + 0.05, f"{layer.carriers:.0%} of neurons", 8, bold=True)
    canvas.text(x, y + 0.2, f"carry {CARRIED:.0%}, Gini {layer.gini:.2f}", 7, SOFT)
    if layer.after is not None:
        after = f"edited: {layer.after.carriers:.0%}, Gini {layer.after.gini:.2f}"
        canvas.text(x, y + 0.38, after, 7, EDITED)
