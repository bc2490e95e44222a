"""From evidence to files: which drawing suits which kind of data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnxunlearn.pictures.choose import Chosen
from onnxunlearn.pictures.concentration import LayerRelevance
from onnxunlearn.pictures.evidence import Evidence
from onnxunlearn.pictures.folder import LAYERS, PAGE, sheet_name
from onnxunlearn.pictures.images import draw_images
from onnxunlearn.pictures.layers import draw_layers
from onnxunlearn.pictures.page import SheetOnPage, make_page
from onnxunlearn.pictures.pixels import displayed
from onnxunlearn.pictures.rows import draw_bars, draw_series
from onnxunlearn.pictures.sheet import Sheet, make_sheet
from onnxunlearn.pictures.subject import Kind, Subject, as_images, as_series
from onnxunlearn.pictures.tokens import spans, without_padding
from onnxunlearn.pictures.vocabulary import words
from onnxunlearn.probes import Labels

_DRAW: Mapping[Kind, Callable[[Sheet], bytes]] = {
    "image": draw_images,
    "series": draw_series,
    "table": draw_bars,
    "tokens": draw_bars,
}


@dataclass(frozen=True, eq=False)
class Story:
    """Everything the pictures say. after: None without a model to compare with."""

    title: str
    subject: Subject
    chosen: Chosen
    before: Evidence
    after: Evidence | None
    layers: Sequence[LayerRelevance]
    labels: Labels
    vocabulary: Sequence[str] | None
    composite: str
    small_print: Mapping[str, str]


def render(story: Story, progress: Callable[[str], None]) -> dict[str, bytes]:
    """The files' bytes by name: a sheet for each class, the layers, and the page with all of them."""
    kind, chosen = story.subject.kind, story.chosen
    values = _values(story)
    files: dict[str, bytes] = {}
    on_page = []
    for done, c in enumerate(chosen.classes):
        progress(f"sheet {done + 1}/{len(chosen.classes)}")
        sheet = make_sheet(c, chosen, values, story.before, story.after, story.labels, story.composite)
        if kind == "tokens":
            sheet = Sheet(
                sheet.target, sheet.title, sheet.subtitle, [without_padding(s) for s in sheet.samples]
            )
        png = _DRAW[kind](sheet)
        files[sheet_name(story.labels.number(c))] = png
        on_page.append(SheetOnPage(sheet, png, spans(sheet) if kind == "tokens" else ()))
    if story.layers:
        progress("layers")
        files[LAYERS] = draw_layers(story.layers, _layers_subtitle(story))
    files[PAGE] = make_page(story.title, on_page, story.layers, files.get(LAYERS), story.small_print)
    return files


def _values(story: Story) -> np.ndarray:
    """The drawn input, fit for the kind's drawing: see `draw_images`, `draw_bars`, `draw_series`."""
    probes = story.chosen.probes
    array = probes.feeds[story.subject.input]
    if story.subject.kind == "image":
        return displayed(as_images(array), probes.prepared)
    if story.subject.kind == "series":
        return as_series(array.astype(np.float64))
    if story.subject.kind == "tokens":
        return np.stack([words(ids, story.vocabulary) for ids in array])
    features = array.reshape(len(array), -1).shape[1]
    return np.broadcast_to(np.array([str(i) for i in range(features)], object), (len(array), features))


def _layers_subtitle(story: Story) -> str:
    classes, count = story.chosen.classes, len(story.chosen.probes)
    whom = story.labels.short(classes[0]) if len(classes) == 1 else f"{len(classes)} classes"
    return f"relevance for {whom}, mean of {count} sample{'s' if count > 1 else ''}  ·  {story.composite}"
