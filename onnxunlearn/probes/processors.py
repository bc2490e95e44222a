"""Hugging Face's image processors, by class: what each makes of its settings, and of those left open.

Read from transformers 5.24 and tested against it pixel by pixel. What a file leaves open means what it means
to today's library; in versions before 5 some classes had another filter, and BEiT another size.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from onnxunlearn.probes.preprocess import BICUBIC, BILINEAR, FILTERS, Preprocess
from onnxunlearn.probes.settings import Settings
from onnxunlearn.registry import Registry

Reading = Callable[[Settings, Preprocess], Preprocess]

_HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_CLIP = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
_CROP_224 = {"crop_size": 224, "do_center_crop": True}


def _square(side: int) -> dict[str, int]:
    return {"height": side, "width": side}


_SHORT_224, _SHORT_256, _SHORT_384 = ({"shortest_edge": side} for side in (224, 256, 384))
_EVERY_CLASS = {
    "do_resize": True,
    "resample": BICUBIC,
    "do_center_crop": False,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "default_to_square": True,
}
#: steps of no matter: the first is always done, the second is for label maps
HARMLESS_STEPS = ("do_convert_rgb", "do_reduce_labels")
_WARPED_FROM = 384  # pixels; from here on ConvNeXT's processor warps to a square instead of cropping

#: by class name, as `transformers` has them
READINGS: Registry[Reading] = Registry("image processor")


def processor(name: str, **defaults: Any) -> Callable[[Reading], Reading]:
    """Registers a reading of the settings of the class `name`, which has these defaults beside the usual."""

    def register(reading: Reading) -> Reading:
        def with_defaults(settings: Settings, base: Preprocess) -> Preprocess:
            filled = settings.filled({**_EVERY_CLASS, **defaults})
            for key in filled.values:
                known = key in _EVERY_CLASS or key in defaults or key in HARMLESS_STEPS
                if key.startswith("do_") and not known and filled.switch(key, False):
                    raise settings.error(key, f"false, as {name} has no such step here")
            return reading(filled, base)

        READINGS(name)(with_defaults)
        return reading

    return register


@processor("ViTImageProcessor", size=_square(224), resample=BILINEAR, **_HALF)
@processor("SiglipImageProcessor", size=_square(224), default_to_square=False, **_HALF)
@processor("BlipImageProcessor", size=_square(384), **_CLIP)
@processor("PvtImageProcessor", size=_square(224), **_IMAGENET)
@processor("DeiTImageProcessor", size=_square(256), **_CROP_224, **_HALF)
@processor("BeitImageProcessor", size=_square(224), crop_size=_square(224), **_HALF)
@processor("BitImageProcessor", size=_SHORT_224, default_to_square=False, **_CROP_224, **_CLIP)
@processor("CLIPImageProcessor", size=_SHORT_224, default_to_square=False, **_CROP_224, **_CLIP)
@processor(
    "MobileNetV1ImageProcessor",
    size=_SHORT_256,
    default_to_square=False,
    resample=BILINEAR,
    **_CROP_224,
    **_HALF,
)
@processor(
    "MobileNetV2ImageProcessor",
    size=_SHORT_256,
    default_to_square=False,
    resample=BILINEAR,
    **_CROP_224,
    **_HALF,
)
def as_written(settings: Settings, base: Preprocess) -> Preprocess:
    """Resize, crop, rescale, normalise; nothing else."""
    steps = _rescaled(settings, _cut(settings, base))
    if not settings.switch("do_normalize", False):
        return steps
    for key in ("image_mean", "image_std"):
        settings.need(key, "numbers, since do_normalize is true")
    return replace(
        steps,
        mean=settings.per_channel("image_mean", base.channels, steps.mean),
        std=settings.per_channel("image_std", base.channels, steps.std, positive=True),
    )


@processor("LevitImageProcessor", size=_SHORT_224, default_to_square=False, **_CROP_224, **_IMAGENET)
def levit(settings: Settings, base: Preprocess) -> Preprocess:
    """The shorter side becomes 256/224 of what the file says."""
    steps = as_written(settings, base)
    if isinstance(steps.resize, int):
        return replace(steps, resize=int((256 / 224) * steps.resize))
    return steps


@processor(
    "PoolFormerImageProcessor",
    size=_SHORT_224,
    default_to_square=False,
    crop_pct=0.9,
    **_CROP_224,
    **_IMAGENET,
)
def poolformer(settings: Settings, base: Preprocess) -> Preprocess:
    """`size` is the part `crop_pct` of what is resized to; a square of it means the shorter side, too."""
    steps = as_written(settings, base)
    if not settings.has("crop_pct"):
        return steps
    fraction = settings.positive("crop_pct", 0.9)
    if isinstance(steps.resize, int):
        return replace(steps, resize=int(steps.resize / fraction))
    if steps.resize is None:
        return steps
    height, width = (int(side / fraction) for side in steps.resize)
    return replace(steps, resize=height if height == width else (height, width))


@processor("ConvNextImageProcessor", size=_SHORT_384, default_to_square=False, crop_pct=224 / 256, **_HALF)
def convnext(settings: Settings, base: Preprocess) -> Preprocess:
    """Below 384 pixels the part `crop_pct` is cut out; from there on the image is warped to a square."""
    steps = as_written(settings, base)
    if steps.resize is None:
        return steps
    if not isinstance(steps.resize, int):
        raise settings.error("size", 'the length of the shorter side, {"shortest_edge": pixels}')
    side = steps.resize
    if side >= _WARPED_FROM:
        return replace(steps, resize=(side, side))
    if steps.crop not in (None, (side, side)):
        raise settings.error("do_center_crop", f"false, as {side} × {side} pixels are cut out already")
    settings.need("crop_pct", f"the part that is cut out, since the size is below {_WARPED_FROM}")
    resize = int(side / settings.positive("crop_pct", 224 / 256))
    return replace(steps, resize=resize, crop=(side, side))


@processor(
    "EfficientNetImageProcessor",
    size=_square(346),
    crop_size=289,
    rescale_offset=False,
    include_top=True,
    **_HALF,
)
def efficientnet(settings: Settings, base: Preprocess) -> Preprocess:
    """Perhaps one less after scaling, and `include_top` divides by the standard deviation once more."""
    steps = as_written(settings, base)
    if settings.switch("rescale_offset", False) and settings.switch("do_rescale", False):
        steps = replace(steps, mean=tuple(m + 1 for m in steps.mean))
    if settings.switch("include_top", False):
        settings.need("image_std", "numbers, since include_top is true")
        again = settings.per_channel("image_std", base.channels, (1.0,), positive=True)
        steps = replace(steps, std=tuple(np.multiply(steps.std, again).tolist()))
    return steps


@processor(
    "MobileViTImageProcessor",
    size=_SHORT_224,
    default_to_square=False,
    crop_size=256,
    do_center_crop=True,
    do_flip_channel_order=True,
)
def mobilevit(settings: Settings, base: Preprocess) -> Preprocess:
    """Channels from blue to red, and never normalised, whatever the file says."""
    steps = _rescaled(settings, _cut(settings, base))
    if settings.switch("do_flip_channel_order", False) and base.channels == "RGB":
        return replace(steps, channels="BGR")
    return steps


def _cut(settings: Settings, base: Preprocess) -> Preprocess:
    """Resized and cropped, with the channels and layout of `base`."""
    steps = Preprocess(base.channels, base.layout)
    if settings.switch("do_resize", False):
        steps = replace(steps, resize=_resize(settings), resample=_resample(settings))
    if settings.switch("do_center_crop", False):
        settings.need("crop_size", "pixels, since do_center_crop is true")
        steps = replace(steps, crop=settings.height_width("crop_size"))
    return steps


def _rescaled(settings: Settings, steps: Preprocess) -> Preprocess:
    if not settings.switch("do_rescale", False):
        return steps
    settings.need("rescale_factor", "a positive number, since do_rescale is true")
    return replace(steps, scale=settings.positive("rescale_factor", 1 / 255))


def _resize(settings: Settings) -> tuple[int, int] | int:
    size = settings.values.get("size")
    if isinstance(size, dict) and size.keys() == {"shortest_edge"}:
        return Settings(size, settings.path).pixels("shortest_edge")
    if isinstance(size, int) and not settings.switch("default_to_square", False):
        return settings.pixels("size")
    both = settings.height_width("size")
    if both is None:
        raise settings.error("size", "pixels, since do_resize is true")
    return both


def _resample(settings: Settings) -> int:
    value = settings.values.get("resample")
    if type(value) is not int or not 0 <= value < len(FILTERS):
        raise settings.error("resample", "the number of a Pillow filter, 0..5")
    return value
