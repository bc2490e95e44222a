"""Read inputs and what is where in them: arrays with a map for each, or a folder of images with masks."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from onnxunlearn.errors import InputError
from onnxunlearn.graph import Model
from onnxunlearn.probes.arrays import read_arrays
from onnxunlearn.probes.check import checked_probes, only_input
from onnxunlearn.probes.images import read_images, require_pillow
from onnxunlearn.probes.inputs import as_array, declared_inputs
from onnxunlearn.probes.labels import Labels
from onnxunlearn.probes.load import Source, load_probes
from onnxunlearn.probes.origin import from_file, from_folder, from_memory, from_script
from onnxunlearn.probes.places.masks import image_files, read_mask
from onnxunlearn.probes.places.scenes import Scenes, as_truth, one_of_several
from onnxunlearn.probes.preprocess import Preprocess
from onnxunlearn.probes.preprocess_file import Preprocessing, file_of, preprocess_beside, read_preprocess
from onnxunlearn.probes.probes import Probes
from onnxunlearn.probes.script import run_script, script_parts

#: what the maps may be called among arrays
_MAPS = ("y", "masks", "labels")


def read_scenes(
    source: Source,
    model: Model,
    labels: Labels,
    preprocess: Preprocessing | None = None,
    *,
    several: bool = False,
) -> Scenes:
    """The inputs in `source`, and what is where in them if it says so.

    source: arrays as `load_probes` takes them, in files, scripts or memory, with `y` (or `masks`, `labels`)
    of class numbers, int [N, *places], 255 or -100 where nothing is said; or a folder of images, perhaps with
    PNG masks of the same names in its folder `masks` (the images beside that, or in `images`), or beside
    them. labels: what classes are called. preprocess: of images, see `load_probes`. several: whether arrays
    may say several classes at a place, 0 or 1 for each but the last, which is none of them: [N, classes − 1,
    *places].

    Raises InputError in one line for whatever does not fit.
    """
    if isinstance(source, Probes):
        if source.labelled:
            raise InputError(f"{source.source}: gives a class a sample, the model says one at each place")
        return Scenes(load_probes(source, model, labels.classes), None, False)
    if isinstance(source, str | os.PathLike) and os.path.isdir(source):
        return _from_folder(Path(source), model, labels, preprocess)
    if isinstance(source, str | os.PathLike):
        return _from_file(os.fspath(source), model, labels, preprocess, several=several)
    if isinstance(source, Mapping):
        return _from_arrays(source, model, labels, "arrays in memory", several=several)
    return Scenes(load_probes(source, model, labels.classes, preprocess=preprocess), None, False)


def _from_file(
    text: str, model: Model, labels: Labels, preprocess: Preprocessing | None, *, several: bool
) -> Scenes:
    path = Path(text)
    if (script := script_parts(text)) is not None:
        arrays = _joined(list(run_script(*script)), text)
        found = _from_arrays(arrays, model, labels, text, several=several)
        return replace(found, probes=from_script(found.probes, *script, found.truth))
    if path.suffix.lower() == ".npz" and path.is_file() and preprocess is None:
        content = read_arrays(path)
        if isinstance(content, dict):
            found = _from_arrays(content, model, labels, text, several=several)
            return replace(found, probes=from_file(found.probes, path))
    return Scenes(load_probes(text, model, labels.classes, preprocess=preprocess), None, False)


def _from_arrays(
    arrays: Mapping[str, Any], model: Model, labels: Labels, source: str, *, several: bool
) -> Scenes:
    given, inputs = dict(arrays), {i.name for i in model.inputs}
    names = [name for name in _MAPS if name in given and name not in inputs]
    if len(names) > 1:
        raise InputError(f"{source}: holds {' and '.join(map(repr, names))}; give one of them")
    maps = as_array(given.pop(names[0]), f"{source}: {names[0]}") if names else None
    probes = replace(load_probes(given, model, labels.classes), source=source)
    if maps is None:
        return Scenes(probes, None, False)
    if maps.ndim < 2 or len(maps) != len(probes):
        raise InputError(
            f"{source}: {names[0]} has shape {' × '.join(map(str, maps.shape))}; expected a class number for "
            f"each place of {len(probes)} inputs"
        )
    if several and maps.ndim > 2 and maps.shape[1] == labels.classes - 1 and np.isin(maps, (0, 1)).all():
        truth = one_of_several(maps)
    else:
        truth = as_truth(maps, labels, f"{source}: {names[0]}")
    return Scenes(from_memory(probes, truth), truth, True)


def _joined(batches: Sequence[Mapping[str, Any]], source: str) -> dict[str, np.ndarray]:
    if not batches:
        raise InputError(f"{source}: gave no batches; give at least one")
    names = batches[0].keys()
    if any(batch.keys() != names for batch in batches):
        raise InputError(f"{source}: some batches have other arrays than others; give the same in all")
    try:
        return {name: np.concatenate([np.asarray(batch[name]) for batch in batches]) for name in names}
    except ValueError as error:
        raise InputError(f"{source}: its batches do not fit together ({error})") from None


def _from_folder(folder: Path, model: Model, labels: Labels, preprocess: Preprocessing | None) -> Scenes:
    require_pillow()
    inputs = declared_inputs(model)
    model_input = only_input(inputs, f"{folder}: a folder of images", "give an .npz with one array per input")
    preprocess = preprocess_beside(model.path) if preprocess is None else preprocess
    steps = read_preprocess(preprocess, model_input)
    images, masks = image_files(folder)
    feeds = {model_input.name: read_images(images, steps)}
    checked = checked_probes(feeds, None, inputs, Labels(labels.classes), str(folder))
    files = [*images, *masks]
    checked = replace(checked, prepared=steps if isinstance(steps, Preprocess) else None)
    probes = from_folder(checked, folder, files, file_of(preprocess))
    if not masks:
        return Scenes(probes, None, False)
    maps = [as_truth(read_mask(path), labels, str(path)) for path in masks]
    for path, each in zip(masks, maps, strict=True):
        if each.shape != maps[0].shape:
            raise InputError(
                f"{path}: the mask is {_size(each)}, {masks[0].name} is {_size(maps[0])}; give masks of one "
                "size"
            )
    return Scenes(probes, np.stack(maps), True)


def _size(mask: np.ndarray) -> str:
    return " × ".join(map(str, mask.shape))
