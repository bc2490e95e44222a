"""Read probes from whatever the user has, checked against the model before anything runs."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from onnxunlearn.errors import InputError, OnnxUnlearnError
from onnxunlearn.graph import Logits, Model, find_logits
from onnxunlearn.probes.arrays import read_arrays
from onnxunlearn.probes.check import (
    checked_probes,
    joined,
    named_probes,
    not_one_hot,
    only_input,
    single_probes,
)
from onnxunlearn.probes.images import image_files, labelled_files, read_images, require_pillow
from onnxunlearn.probes.inputs import Input, declared_inputs
from onnxunlearn.probes.labels import Labels, Naming
from onnxunlearn.probes.origin import from_file, from_folder, from_memory, from_script
from onnxunlearn.probes.preprocess import Preprocess, Preprocessor
from onnxunlearn.probes.preprocess_file import (
    Preprocessing,
    file_of,
    preprocess_beside,
    read_preprocess,
    read_settings,
)
from onnxunlearn.probes.probes import Probes
from onnxunlearn.probes.script import run_script, script_parts

Source = str | os.PathLike[str] | Mapping[str, Any] | np.ndarray | Probes


@dataclass(frozen=True)
class Readers:
    """How files become arrays: whole, unless others are given (see `streams`). unnamed: which files of a
    folder are images of whatever."""

    arrays: Callable[[Path], dict[str, np.ndarray] | np.ndarray] = read_arrays
    images: Callable[[Sequence[Path], Preprocessor], np.ndarray] = read_images
    unnamed: Callable[[Path], list[Path]] = image_files


WHOLE = Readers()

log = logging.getLogger(__name__)

_KINDS = "an .npz or .npy file, a folder of class subfolders of images, or script.py:function"


def load_probes(
    source: Source,
    model: Model,
    classes: int,
    *,
    preprocess: Preprocessing | None = None,
    labels: Naming | None = None,
    several: bool = False,
    readers: Readers = WHOLE,
) -> Probes:
    """The probes in `source`, fit to feed to `model`, which has `classes` classes.

    source: a path of .npz (arrays by input name, or `x` for the only input; optional `y`), .npy (the only
    input), a folder of class subfolders of images, or `script.py:function` whose function returns or yields
    dicts like an .npz; or such arrays in memory, or probes. Arrays are [N, ...], already preprocessed, of any
    N; y is [N] labels, which are columns of the scores unless the model declares others (see `Labels`), or
    one-hot [N, classes]; of `Probes` it is columns. Floats, and integers for a float input, are cast to the
    model's dtype.
    several: whether a sample may have several classes, or none: then y may hold several ones in a row.
    preprocess: for image folders a JSON file, or a mapping of what it would hold, see `read_preprocess`;
    without, what lies beside the model, see `preprocess_beside`, else what its input declares. labels: class
    names, which subfolders may bear, in order or by index, or a file of them, see `read_labels`; by default
    those that the model declares for its only output of scores. readers: how files are read.
    Raises InputError in one line for whatever does not fit, UnsupportedError if the model's inputs are not
    plain tensors.
    """
    probes = _loaded(source, model, _labels(model, classes, labels), preprocess, readers)
    if probes.labels is not None and not several:
        raise not_one_hot(int(np.argmax(probes.labels.sum(axis=1) != 1)), probes.source)
    return probes


def load_unnamed(
    source: Source, model: Model, *, preprocess: Preprocessing | None = None, readers: Readers = WHOLE
) -> Probes:
    """Inputs of whatever, in the forms of `load_probes`: a y is not looked at, and images may lie in folders
    of any names, or in none. Raises as `load_probes` does."""
    return _loaded(source, model, None, preprocess, readers)


def _labels(model: Model, classes: int, given: Naming | None) -> Labels:
    """Those given, or those of the model; of a model with several outputs that could hold scores none."""
    if isinstance(given, Labels):
        return given
    try:
        logits = find_logits(model)
    except OnnxUnlearnError:
        logits = None
    if logits is None or logits.classes != classes:
        logits = Logits("", "", classes, None)
    return Labels.of(model, logits, given)


def _loaded(
    source: Source,
    model: Model,
    labels: Labels | None,
    preprocess: Preprocessing | None,
    readers: Readers,
) -> Probes:
    """labels: None: what the samples are is not looked at."""
    inputs = declared_inputs(model)
    preprocess = read_settings(preprocess) if isinstance(preprocess, Mapping) else preprocess
    text = os.fspath(source) if isinstance(source, str | os.PathLike) else None
    if text is not None and os.path.isdir(text):
        if preprocess is None and (beside := preprocess_beside(model.path)) is not None:
            log.warning("images are prepared as %s says; --preprocess takes another file", beside)
            preprocess = beside
        return _from_folder(Path(text), inputs, labels, preprocess, readers)
    if preprocess is not None:
        raise InputError(
            f"{preprocess}: preprocessing is for image folders; other probes must come preprocessed"
        )
    if text is not None:
        return _from_path(text, inputs, labels, readers)
    if isinstance(source, Probes):
        y = source.y if source.labels is None else source.labels
        checked = checked_probes(source.feeds, y, inputs, _columns(labels), source.source)
        return from_memory(replace(checked, origin=source.origin, prepared=source.prepared))
    if isinstance(source, Mapping):
        return from_memory(named_probes(source, inputs, labels, "arrays in memory"))
    if isinstance(source, np.ndarray):
        return from_memory(single_probes(source, inputs, labels, "array in memory"))
    raise InputError(f"probes cannot be a {type(source).__name__}; give arrays, or {_KINDS}")


def _columns(labels: Labels | None) -> Labels | None:
    """The same where classes are columns already."""
    return None if labels is None else Labels(labels.classes)


def _from_path(text: str, inputs: Sequence[Input], labels: Labels | None, readers: Readers) -> Probes:
    path = Path(text)
    if (script := script_parts(text)) is not None:
        batches = enumerate(run_script(*script))
        made = joined((named_probes(b, inputs, labels, f"{text} batch {i}") for i, b in batches), text)
        return from_script(made, *script)
    if not text or not os.path.exists(text):
        raise InputError(f"{text!r}: no such file; give {_KINDS}")
    if path.suffix == ".py":
        raise InputError(f"{text}: which function? give {text}:function")
    if path.suffix.lower() not in (".npz", ".npy"):
        raise InputError(f"{text}: unknown kind of file {path.suffix!r}; give {_KINDS}")
    content = readers.arrays(path)
    if isinstance(content, dict):
        return from_file(named_probes(content, inputs, labels, text), path)
    return from_file(single_probes(content, inputs, labels, text), path)


def _from_folder(
    folder: Path,
    inputs: Sequence[Input],
    labels: Labels | None,
    preprocess: Preprocessing | None,
    readers: Readers,
) -> Probes:
    source = str(folder)
    require_pillow()
    model_input = only_input(inputs, f"{source}: a folder of images", "give an .npz with one array per input")
    steps = read_preprocess(preprocess, model_input)
    if isinstance(steps, Preprocess) and preprocess is None:
        values = "0..1" if steps.scale != 1 else "0..255"
        log.warning(
            "%s: no preprocessing is given or lies beside the model: images become values %s, without mean "
            "and std; --preprocess FILE says otherwise",
            source,
            values,
        )
    if labels is None:
        paths, y = readers.unnamed(folder), None
    else:
        files = labelled_files(folder, labels)
        paths, y = [path for path, _ in files], np.array([label for _, label in files])
    samples = readers.images(paths, steps)
    checked = checked_probes({model_input.name: samples}, y, inputs, _columns(labels), source)
    checked = replace(checked, prepared=steps if isinstance(steps, Preprocess) else None)
    return from_folder(checked, folder, paths, file_of(preprocess))


def source_files(source: Source | None) -> list[Path]:
    """The files and folders that probes are read from; none if they are in memory."""
    if not isinstance(source, str | os.PathLike):
        return []
    script = script_parts(os.fspath(source))
    return [Path(source) if script is None else script[0]]
