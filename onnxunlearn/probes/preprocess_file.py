"""Preprocessing described in a JSON file: Hugging Face's, timm's, or our own small format."""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from onnxunlearn.errors import InputError, one_line
from onnxunlearn.probes.hugging_face import hugging_face_steps, is_hugging_face
from onnxunlearn.probes.implied import check_sensible
from onnxunlearn.probes.inputs import Input
from onnxunlearn.probes.preprocess import (
    CHANNEL_ORDERS,
    FILTERS,
    LAYOUTS,
    Preprocess,
    Preprocessor,
    declared_preprocess,
)
from onnxunlearn.probes.settings import Settings
from onnxunlearn.probes.timm_config import is_timm, timm_steps
from onnxunlearn.text import parse_json, read_text

_OWN_KEYS = (
    "size",
    "shorter_side",
    "resample",
    "crop",
    "scale",
    "mean",
    "std",
    "layout",
    "channel_order",
)

#: files that publish a model's preprocessing -> the key that they must have to do so
_PUBLISHED = {
    "preprocessor_config.json": None,
    "processor_config.json": "image_processor",
    "config.json": "pretrained_cfg",
}


#: a JSON file, what such a file would hold, or what `read_settings` has made of either
Preprocessing = str | os.PathLike[str] | Mapping[str, Any] | Settings


def file_of(source: Preprocessing | None) -> Path | None:
    """The file that settings are in; None for those given in memory."""
    if isinstance(source, Settings):
        return source.file
    return None if source is None or isinstance(source, Mapping) else Path(source)


def read_settings(source: Preprocessing) -> Settings:
    """The settings in a JSON file, pipe or mapping. Raises InputError if it holds none."""
    if isinstance(source, Settings):
        return source
    if isinstance(source, Mapping):
        try:
            return Settings(json.loads(json.dumps(dict(source))), None)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"preprocess: {one_line(error)}; give texts, numbers and lists, as in JSON"
            ) from None
    path = Path(source)
    values = parse_json(read_text(path), path)
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected a JSON object of preprocessing settings; correct it")
    return Settings(values, path)


def read_preprocess(
    source: Preprocessing | None, model_input: Input, *, library: bool = True
) -> Preprocessor:
    """The steps in the file at `source`; what it leaves open, or all if there is no file, the model declares.

    Our own keys: size (pixels of a square, or [height, width]) or shorter_side, what to resize to; resample
    ("bilinear" and the like); crop (as size; cut from the centre); scale (multiplies pixels 0..255); mean and
    std (after scale; one number, or one a channel in channel order); layout ("NCHW" or "NHWC");
    channel_order ("RGB", "BGR" or "L"). Other files: see `hugging_face_steps` (of which
    `library` is) and `timm_steps`.
    Raises InputError for anything that is not understood or cannot be meant, and if nothing says the image
    size.
    """
    if source is None:
        return _of_a_size(
            declared_preprocess(model_input), model_input, "give a preprocessing file (--preprocess) with"
        )
    settings = read_settings(source)
    steps: Preprocessor
    if is_timm(settings):
        steps = timm_steps(settings, declared_preprocess(model_input))
    elif is_hugging_face(settings):
        steps = hugging_face_steps(settings, declared_preprocess(model_input), library=library)
    else:
        steps = _of_a_size(_own_steps(settings, model_input), model_input, f"add to {settings}")
    check_sensible(steps, settings.path)
    return steps


def preprocess_beside(model: Path | None) -> Path | None:
    """The file that publishes the preprocessing of the model at this path, if there is one.

    Exporters put it beside the model, or the model into a folder `onnx` beside it.
    """
    if model is None:
        return None
    folder = model.absolute().parent
    for place in (folder, folder.parent) if folder.name == "onnx" else (folder,):
        for name, key in _PUBLISHED.items():
            path = place / name
            if path.is_file() and (key is None or _holds(path, key)):
                return path
    return None


def _holds(path: Path, key: str) -> bool:
    try:
        return key in read_settings(path).values
    except InputError:  # whatever it is, it is not what was looked for
        return False


def _of_a_size(steps: Preprocess, model_input: Input, todo: str) -> Preprocess:
    """Raises InputError if images of different sizes would stay so."""
    if steps.resize is None and steps.crop is None:
        raise InputError(
            f"the model's input {model_input.name!r} takes {model_input.shape_text}, no fixed image size; "
            f'{todo} "size": [height, width]'
        )
    return steps


def _own_steps(settings: Settings, model_input: Input) -> Preprocess:
    for key in settings.values:
        if key not in _OWN_KEYS:
            raise InputError(f"{settings.path}: unknown key {key!r}; known: {', '.join(_OWN_KEYS)}")
    base = declared_preprocess(model_input, settings.choice("layout", LAYOUTS))
    channels = settings.choice("channel_order", CHANNEL_ORDERS) or base.channels
    resample = settings.choice("resample", FILTERS)
    return replace(
        base,
        channels=channels,
        resize=_own_resize(settings) or base.resize,
        resample=base.resample if resample is None else FILTERS.index(resample),
        crop=settings.height_width("crop"),
        scale=settings.positive("scale", base.scale),
        mean=settings.per_channel("mean", channels, base.mean),
        std=settings.per_channel("std", channels, base.std, positive=True),
        torchvision_crop=True,
    )


def _own_resize(settings: Settings) -> tuple[int, int] | int | None:
    if not settings.has("shorter_side"):
        return settings.height_width("size")
    if settings.has("size"):
        raise settings.error("shorter_side", "nothing, since there is a size, too")
    if not settings.has("crop"):
        raise settings.error(
            "crop", "height and width, as images resized by their shorter side have many sizes"
        )
    return settings.pixels("shorter_side")
