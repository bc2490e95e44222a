"""A few inputs for the report's page: what in them spoke for the class, before and after an edit."""

import io
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from onnxunlearn import judge
from onnxunlearn.detectors.heads import GROUND
from onnxunlearn.engines import create_engine
from onnxunlearn.errors import InputError, OnnxUnlearnError, one_line
from onnxunlearn.explained import Explained
from onnxunlearn.graph import Model
from onnxunlearn.graph.outputs import status_of
from onnxunlearn.pictures.choose import Chosen
from onnxunlearn.pictures.counterpart import counterpart
from onnxunlearn.pictures.evidence import Evidence, Gatherer
from onnxunlearn.pictures.pixels import displayed, limit_of
from onnxunlearn.pictures.subject import as_images, find_subject, starts_with_conv
from onnxunlearn.probes import Labels, Preprocessing, Probes, Source, source_files
from onnxunlearn.relevance import parse_composite
from onnxunlearn.relevance.starts import start as starts
from onnxunlearn.render import Picture, Relevance, Sample

#: inputs, and the longer side of a picture in pixels: the page has to stay small
_SAMPLES, _SIDE = 4, 112
#: what speaks for the class, and against it; neutral is transparent, on light and on dark paper
_FOR, _AGAINST = (200, 30, 45), (50, 125, 225)


def heatmaps(
    model: Model,
    edited: Model,
    data: Source | None,
    forget: Sequence[int],
    labels: Labels,
    *,
    chose: bool = False,
    **options: Any,
) -> Relevance:
    """The first samples of the first class to forget; of those that share what is to be forgotten, where that
    is no class, the first ones. chose: whether some may have chosen the edit. options: engine, providers,
    output_name, preprocess and batch_size, as `draw` has them.

    Where they cannot be drawn, the reason in their place: no report fails for want of a picture.
    """
    if data is None:
        return Relevance(why_not="Not shown: no inputs were given.")
    if find_spec("PIL") is None:
        return Relevance(why_not="Not shown: pictures need Pillow (pip install 'onnxunlearn[images]').")
    if not all(_is_there_twice(file) for file in source_files(data)):
        return Relevance(why_not="Not shown: the inputs came through a pipe, which gives them once.")
    try:
        return _drawn(model, edited, data, forget[0] if forget else None, labels, chose, **options)
    except OnnxUnlearnError as error:
        return Relevance(why_not=f"Not shown: {one_line(error)}.")


def _is_there_twice(file: Path) -> bool:
    found = status_of(file)
    return found is None or stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)


def _drawn(
    model: Model,
    edited: Model,
    data: Source,
    target: int | None,
    labels: Labels,
    chose: bool,
    *,
    engine: str = "onnxruntime",
    providers: Sequence[str] = ("cpu",),
    output_name: str | None = None,
    head: str | os.PathLike[str] | None = None,
    preprocess: Preprocessing | None = None,
    batch_size: int = 32,
) -> Relevance:
    called = [name for name in labels.names if name != GROUND]  # a detector's column for nothing has no name
    explained = Explained.of(model, output_name, head, called)
    if target is not None:
        target, labels = explained.as_objects(target, labels)
    logits = explained.logits
    seen = logits.within(explained.seen)
    subject = find_subject(seen, logits)
    if subject.kind != "image":
        raise InputError(f"inputs are no images but {subject.kind}; the command explain draws them")
    probes, runner = explained.probes(data, preprocess, labels), create_engine(engine, providers)
    if explained.places is not None and target is not None:
        said = judge.scores(explained.model, logits, runner, probes.feeds, batch_size)
        probes = replace(probes, y=explained.predicted(said, target))
    which = np.arange(len(probes)) if target is None else np.flatnonzero(_labelled(probes, target))
    which = which[:_SAMPLES]
    if target is not None and not len(which):
        raise InputError(f"no input is labelled {labels.shown(target)}")
    own = probes.select(which)
    targets = np.full(len(which), target)
    if target is None:
        said = judge.scores(model, logits, runner, own.feeds, batch_size)
        targets = said.argmax(axis=1)
    chosen = Chosen(own, targets, "")
    rules = parse_composite(
        "epsilon_plus_flat" if starts_with_conv(seen, subject, logits) else "epsilon_plus"
    )
    gatherer = Gatherer(runner, rules, starts.choose("logit"), probes, batch_size, lambda _: None)
    pair = (
        gatherer.gather(explained, subject, chosen),
        gatherer.gather(*counterpart(edited, explained, subject, head), chosen),
    )
    images = displayed(as_images(own.feeds[subject.input]), own.prepared)
    names = [labels.short(int(c)) for c in targets]
    of, name = ("with it", "the original's answer") if target is None else (f"of {names[0]}", names[0])
    return Relevance(
        tuple(_samples(images, pair, names, labels)),
        f"The first {len(which)} inputs {of} given{'; some may have chosen the edit' if chose else ''}. "
        "Red speaks "
        f"for {name}, blue against it (layer-wise relevance propagation, {rules.name}); all share one scale.",
    )


def _labelled(probes: Probes, target: int) -> np.ndarray:
    return np.zeros(len(probes), bool) if probes.y is None else probes.y == target


def _samples(
    images: np.ndarray, pair: tuple[Evidence, Evidence], names: Sequence[str], labels: Labels
) -> Iterator[Sample]:
    limit = limit_of(*(evidence.relevance for evidence in pair))
    for i, (image, name) in enumerate(zip(images, names, strict=True)):
        pictures = [Picture(_png(image), "input", f"An input of {name}")]
        said = []
        for title, evidence in zip(("original", "edited"), pair, strict=True):
            relevance = evidence.relevance[i]
            total = float(np.abs(relevance).sum())
            share = 100 * float(relevance.clip(0).sum()) / total if total else 0.0
            told = f"{share:.0f}\u202f% speaks for it" if total else "none"
            alt = f"Relevance for {name} in the {title} model: {told}"
            pictures.append(Picture(_png(_coloured(relevance, limit)), f"{title}: {told}", alt))
            answer, height = evidence.answer(i, labels)
            said.append(f"{title}: {answer}" + (f", score {height}" if height else ""))
        yield Sample(pictures, "; ".join(said))


def _coloured(relevance: np.ndarray, limit: float) -> np.ndarray:
    """[H, W] as RGBA in [0, 1]: the more, the less transparent."""
    colour = np.where((relevance > 0)[..., None], np.array(_FOR) / 255, np.array(_AGAINST) / 255)
    strength = np.clip(np.abs(relevance) / limit, 0, 1)
    return np.concatenate([colour, strength[..., None]], axis=-1)


def _png(pixels: np.ndarray) -> bytes:
    """[H, W, 3 or 4] in [0, 1], made smaller if it is large."""
    from PIL import Image  # optional

    picture = Image.fromarray((pixels * 255).round().astype(np.uint8))
    picture.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    buffer = io.BytesIO()
    picture.save(buffer, "png", optimize=True)
    return buffer.getvalue()
