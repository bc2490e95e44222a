"""A sheet of paper measured in inches from its top left corner, and its bytes as PNG."""

import io
import warnings

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from onnxunlearn.pictures.colours import DIVERGING, FAINT, INK, PAPER, SOFT, symmetric
from onnxunlearn.pictures.sheet import Prediction

DPI = 144
#: pixels; the renderer takes no more than 65535, and nobody's memory is endless
_TALLEST = 30_000
MARGIN = 0.3
#: the height that `Canvas.header` and `Canvas.scale` take
HEADER, SCALE = 0.72, 0.55
FONT = "DejaVu Sans"  # comes with matplotlib: the same letters everywhere


class Canvas:
    """A figure without pyplot, whose state is global. Sizes and places are in inches, y grows downwards."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.dpi = min(DPI, _TALLEST / height)
        self.figure = Figure((width, height), dpi=self.dpi, facecolor=PAPER)
        FigureCanvasAgg(self.figure)
        # One pair of axes for everything without axes of its own: each costs as much time as many images.
        self.paper = self.figure.add_axes((0, 0, 1, 1))
        self.paper.set_axis_off()
        self.paper.set_xlim(0, width)
        self.paper.set_ylim(height, 0)
        self.paper.set_autoscale_on(False)

    def axes(self, x: float, y: float, width: float, height: float, frame: bool = True) -> Axes:
        """Axes without ticks, with a faint frame or none."""
        box = (x / self.width, 1 - (y + height) / self.height, width / self.width, height / self.height)
        axes = self.figure.add_axes(box)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.patch.set_visible(False)
        for spine in axes.spines.values():
            spine.set_visible(frame)
            spine.set_color(FAINT)
            spine.set_linewidth(0.6)
        return axes

    def picture(self, pixels: np.ndarray, x: float, y: float, width: float, height: float) -> None:
        """RGB [H, W, 3] in [0, 1] in a faint frame, its pixels as squares where they are few."""
        self.paper.imshow(
            pixels,
            aspect="auto",
            interpolation="nearest" if max(pixels.shape[:2]) <= 96 else "antialiased",
            extent=(x, x + width, y + height, y),
        )
        frame = Rectangle((x, y), width, height, fill=False, edgecolor=FAINT, linewidth=0.6)
        self.paper.add_patch(frame)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 8,
        colour: str = INK,
        *,
        align: str = "left",
        bold: bool = False,
    ) -> None:
        """One line whose top is at y. Never read as a formula: class names may hold dollars."""
        self.figure.text(
            x / self.width,
            1 - y / self.height,
            one_line(text),
            size=size,
            color=colour,
            ha=align,
            va="top",
            family=FONT,
            weight="bold" if bold else "normal",
            parse_math=False,
        )

    def caption(self, x: float, y: float, width: float, said: Prediction, size: float = 7) -> None:
        """What a model says: the class on the left, bold if it is wrong, its score on the right."""
        room = int(width * 72 / (size * 0.62)) - len(said.score) - 3
        self.text(x, y, f"→ {shortened(said.name, max(room, 3))}", size, bold=said.wrong)
        self.text(x + width, y, said.score, size, SOFT, align="right")

    def header(self, title: str, subtitle: str) -> None:
        self.text(MARGIN, 0.24, shortened(title, self.letters(13)), 13, bold=True)
        self.text(MARGIN, 0.5, shortened(subtitle, self.letters(8)), 8, SOFT)

    def letters(self, size: float) -> int:
        """How many letters of a size fit into a line, about."""
        return int((self.width - 2 * MARGIN) * 72 / (size * 0.6))

    def scale(self, limit: float, y: float) -> None:
        """The colour scale: a slim bar with its ends and zero."""
        width = min(2.4, self.width - 2 * MARGIN)
        axes = self.axes(MARGIN, y + 0.12, width, 0.09, frame=False)
        bar = self.figure.colorbar(
            ScalarMappable(symmetric(limit), DIVERGING), cax=axes, orientation="horizontal", ticks=[]
        )
        bar.outline.set_visible(False)
        for place, label, align in (
            (0.0, f"−{limit:.2g} against", "left"),
            (0.5, "0", "center"),
            (1.0, f"for +{limit:.2g}", "right"),
        ):
            self.text(MARGIN + place * width, y + 0.25, label, 7, SOFT, align=align)

    def png(self) -> bytes:
        """The same bytes for the same drawing: no time, no version in the file."""
        buffer = io.BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing")  # a name in a script the font lacks
            self.figure.savefig(
                buffer, format="png", dpi=self.dpi, facecolor=PAPER, metadata={"Software": None}
            )
        return buffer.getvalue()


def one_line(text: str) -> str:
    """Without line breaks and control characters, which a name from a file may hold."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def shortened(text: str, at_most: int) -> str:
    text = one_line(text)
    return text if len(text) <= at_most else text[: max(at_most - 1, 1)].rstrip() + "…"
