"""Sheets of images: the input beside its heatmap, with the edited model's beside both."""

from onnxunlearn.pictures.canvas import HEADER, MARGIN, SCALE, Canvas, shortened
from onnxunlearn.pictures.colours import SOFT, colours
from onnxunlearn.pictures.pixels import limit_of
from onnxunlearn.pictures.sheet import Sheet

_PANEL, _GAP, _BETWEEN, _CAPTION, _HEAD = 1.1, 0.12, 0.34, 0.2, 0.2


def draw_images(sheet: Sheet) -> bytes:
    """The sheet as PNG. Samples' values are RGB [H, W, 3], their maps [H, W]."""
    limit = limit_of(*sheet.scaled)
    panels = 1 + len(sheet.columns)
    height, width = sheet.samples[0].value.shape[:2]
    panel_height = _PANEL * min(max(height / width, 0.4), 2.5)
    strip = panels * _PANEL + (panels - 1) * _GAP
    across = min(len(sheet.samples), max(1, round(10 / (strip + _BETWEEN))))
    down = -(-len(sheet.samples) // across)
    head = _HEAD if len(sheet.columns) > 1 else 0
    row = _CAPTION + panel_height + 0.1
    canvas = Canvas(
        max(2 * MARGIN + across * strip + (across - 1) * _BETWEEN, 4.2),
        HEADER + head + down * row + SCALE,
    )
    canvas.header(sheet.title, sheet.subtitle)
    for column in range(across if head else 0):
        for i, title in enumerate(["input", *sheet.columns]):
            x = MARGIN + column * (strip + _BETWEEN) + i * (_PANEL + _GAP)
            canvas.text(x, HEADER + 0.02, title, 7, SOFT, bold=True)
    for i, sample in enumerate(sheet.samples):
        x = MARGIN + (i % across) * (strip + _BETWEEN)
        y = HEADER + head + (i // across) * row
        if sample.truth is not None:
            canvas.text(x, y + 0.04, shortened(f"true {sample.truth}", 17), 7, SOFT)
        canvas.picture(sample.value, x, y + _CAPTION, _PANEL, panel_height)
        for title, relevance in sample.maps.items():
            x += _PANEL + _GAP
            if title in sample.predictions:
                canvas.caption(x, y + 0.04, _PANEL, sample.predictions[title])
            canvas.picture(colours(relevance, limit), x, y + _CAPTION, _PANEL, panel_height)
    canvas.scale(limit, canvas.height - SCALE)
    return canvas.png()
