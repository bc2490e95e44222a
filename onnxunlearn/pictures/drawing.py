"""Pictures of relevance in one call: from a model and probes to a folder of PNG files and one page."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from onnxunlearn import judge
from onnxunlearn.arguments import check_number
from onnxunlearn.digests import sha256
from onnxunlearn.engines import create_engine
from onnxunlearn.errors import InputError
from onnxunlearn.explained import Explained
from onnxunlearn.graph import Inputs, Model, ModelSource, load
from onnxunlearn.judge.report import versions
from onnxunlearn.pictures.choose import choose
from onnxunlearn.pictures.concentration import LayerRelevance
from onnxunlearn.pictures.counterpart import counterpart, file_name
from onnxunlearn.pictures.evidence import Gatherer, compare_layers
from onnxunlearn.pictures.folder import check_folder, write_folder
from onnxunlearn.pictures.subject import find_subject, starts_with_conv
from onnxunlearn.pictures.vocabulary import read_vocabulary
from onnxunlearn.probes import Labels, Naming, Preprocessing, Source, file_of, in_order
from onnxunlearn.relevance import parse_composite
from onnxunlearn.relevance.starts import start as starts
from onnxunlearn.sources import files_read, model_files


@dataclass(frozen=True)
class Drawing:
    """What `draw` made. files: in `directory`, the page last. classes: those with a sheet. layers: in graph
    order, with the numbers that `layers.png` shows. composite: what was used."""

    directory: Path
    files: tuple[Path, ...]
    classes: tuple[int, ...]
    layers: tuple[LayerRelevance, ...] = field(repr=False)
    composite: str


def draw(
    model: ModelSource,
    data: Source,
    directory: str | os.PathLike[str],
    target: int | str = "predicted",
    *,
    compare: ModelSource | None = None,
    composite: str | None = None,
    start: str = "logit",
    samples: int = 8,
    input_name: str | None = None,
    vocabulary: str | os.PathLike[str] | Sequence[str] | None = None,
    overwrite: bool = False,
    engine: str = "onnxruntime",
    providers: Sequence[str] = ("cpu",),
    output_name: str | None = None,
    head: str | os.PathLike[str] | None = None,
    labels: Naming | None = None,
    preprocess: Preprocessing | None = None,
    batch_size: int = 32,
    keep: Inputs | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Drawing:
    """Draw what in the inputs, and which neurons inside, speak for a class; write it to `directory`.

    target: a class (see `probes.Labels`), "label" (each sample's y) or "predicted"; each class meant
    gets a sheet `class_3.png` of its first `samples` samples. compare: an edited model, drawn beside the
    original for the same samples and targets, on the same scale. composite: default `epsilon_plus_flat` where
    a convolution comes first, else `epsilon_plus`. start, head: as in `explain`. input_name: what to draw if
    the model has several inputs. vocabulary: tokens by id, or a file with one a line. keep: more files that
    must not be written, each with what it is.

    Raises InputError for bad input, a missing matplotlib or Jinja2, or a directory that must not be written
    to (then nothing is written); UnsupportedError for inputs that cannot be drawn and where relevance cannot
    pass a node.
    """
    _require_packages()
    check_number("samples", samples, 1, whole=True, optional=False)
    check_number("batch_size", batch_size, 1, whole=True, optional=False)
    progress("loading")
    labels = in_order(labels)
    explained = Explained.of(load(model), output_name, head, labels)
    explained.check_target(target)
    model, logits = explained.file, explained.logits
    seen = logits.within(explained.seen)
    subject = find_subject(seen, logits, input_name)
    edited = None if compare is None else counterpart(compare, explained, subject, head)
    inputs = {
        **(keep or {}),
        **files_read(data, file_of(preprocess), composite, vocabulary),
        **model_files(model),
    }
    if edited is not None:
        inputs |= model_files(edited[0].file)
    folder = check_folder(directory, overwrite, inputs)
    if composite is None:
        composite = "epsilon_plus_flat" if starts_with_conv(seen, subject, logits) else "epsilon_plus"
    rules, share_out = parse_composite(composite), starts.choose(start)
    words = read_vocabulary(vocabulary) if isinstance(vocabulary, str | os.PathLike) else vocabulary
    runner = create_engine(engine, providers)
    names = Labels.of(model, logits, labels).warned()
    probes = explained.probes(data, preprocess, names)

    def predict() -> np.ndarray:
        progress("running the model")
        scores = judge.scores(explained.model, logits, runner, probes.feeds, batch_size)
        return explained.predicted(scores, 0 if explained.places is None else names.parse(str(target))[0])

    chosen = choose(probes, target, samples, names, predict)
    gatherer = Gatherer(runner, rules, share_out, probes, batch_size, progress)
    before = gatherer.gather(explained, subject, chosen)
    after = None if edited is None else gatherer.gather(*edited, chosen)
    layers = compare_layers(seen, logits, subject, before, after)

    # here, since drawing needs matplotlib and Jinja2, which are optional and slow to import
    from onnxunlearn.pictures.render import Story, render

    name = file_name(model)
    title = f"What {name} looks at" if edited is None else f"What {name} looked at, before and after"
    facts = {
        "model": name,
        "sha256": sha256(*model.content.pieces),
        **({} if edited is None else _of_file(edited[0].file)),
        "composite": rules.name,
        "start": start,
        "target": str(target),
        "samples": f"{len(chosen.probes)}: {chosen.note}",
        "input": subject.input,
        "scores": ", ".join((f"of output {explained.output}", *explained.how)),
        "engine": f"{runner.name}, {', '.join(runner.providers)}",
        "made by": f"onnxunlearn {versions().get('onnxunlearn', '')}",
    }
    story = Story(title, subject, chosen, before, after, layers, names, words, rules.name, facts)
    files = write_folder(folder, render(story, progress), inputs)
    return Drawing(folder, tuple(files), tuple(chosen.classes), tuple(layers), rules.name)


def _of_file(edited: Model) -> dict[str, str]:
    return {"edited": file_name(edited), "edited sha256": sha256(*edited.content.pieces)}


def _require_packages() -> None:
    missing = [name for name in ("matplotlib", "jinja2") if find_spec(name) is None]
    if missing:
        raise InputError(f"pictures need {' and '.join(missing)}: pip install 'onnxunlearn[pictures]'")
