"""Preprocessing described in a JSON file: Hugging Face's, or our own small format."""

import os
from dataclasses import replace
from pathlib import Path

from onnxunlearn.errors import InputError
from onnxunlearn.probes.hugging_face import hugging_face_steps, is_hugging_face
from onnxunlearn.probes.inputs import Input
from onnxunlearn.probes.preprocess import CHANNEL_ORDERS, LAYOUTS, Preprocess, declared_preprocess
from onnxunlearn.probes.settings import Settings
from onnxunlearn.text import parse_json, read_text

_OWN_KEYS = ("size", "scale", "mean", "std", "layout", "channel_order")


#: a JSON file, or what `read_settings` has read from it
Preprocessing = str | os.PathLike[str] | Settings


def read_settings(source: Preprocessing) -> Settings:
    """The settings in a JSON file, or pipe. Raises InputError if it holds none."""
    if isinstance(source, Settings):
        return source
    path = Path(source)
    values = parse_json(read_text(path), path)
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected a JSON object of preprocessing settings; correct it")
    return Settings(values, path)


def read_preprocess(source: Preprocessing | None, model_input: Input) -> Preprocess:
    """The steps in the file at `source`; what it leaves open, or all if there is no file, the model declares.

    Our own keys: size (pixels of a square, or [height, width]), scale (multiplies pixels 0..255), mean and
    std (after scale; one number, or one a channel in channel order), layout ("NCHW" or "NHWC"),
    channel_order ("RGB", "BGR" or "L"). For a Hugging Face preprocessor_config.json see `hugging_face_steps`.
    Raises InputError for anything that is not understood, and if nothing says the image size.
    """
    if source is None:
        steps, todo = declared_preprocess(model_input), "give a preprocessing file (--preprocess) with"
    else:
        settings = read_settings(source)
        if is_hugging_face(settings):
            return hugging_face_steps(settings, declared_preprocess(model_input))
        steps, todo = _own_steps(settings, model_input), f"add to {source}"
    if steps.resize is None:
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
    return replace(
        base,
        channels=channels,
        resize=settings.height_width("size") or base.resize,
        scale=settings.positive("scale", base.scale),
        mean=settings.per_channel("mean", channels, base.mean),
        std=settings.per_channel("std", channels, base.std, positive=True),
    )
