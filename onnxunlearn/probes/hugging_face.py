"""The steps that a Hugging Face preprocessor_config.json describes."""

from dataclasses import replace

from onnxunlearn.probes.preprocess import BILINEAR, Preprocess
from onnxunlearn.probes.settings import Settings

_MARKS = (
    "crop_size",
    "feature_extractor_type",
    "image_mean",
    "image_processor_type",
    "image_std",
    "resample",
    "rescale_factor",
)
_STEPS = ("do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_flip_channel_order")
_HARMLESS = ("do_convert_rgb", "do_reduce_labels")
_UNPREFIXED_STEPS = ("rescale_offset", "include_top")  # EfficientNet's
_CONVNEXT_WARPS_FROM = 384  # pixels; from here on ConvNeXT's processor warps to a square instead of cropping


def is_hugging_face(settings: Settings) -> bool:
    """Whether these settings are in Hugging Face's words."""
    return any(key in _MARKS or key.startswith("do_") for key in settings.values)


def hugging_face_steps(settings: Settings, base: Preprocess) -> Preprocess:
    """The steps described in `settings`; layout and channels are those of `base`.

    An integer `size` is the shorter side if a crop follows (as in CLIP and MobileNet), else a square (as in
    ViT), unless `default_to_square` says otherwise. With `crop_pct`, `size` is what is left after cropping
    that fraction (as in ConvNeXT and ResNet). Raises InputError for steps and values not understood.
    """
    for key in settings.values:
        is_step = (key.startswith("do_") and key not in _HARMLESS) or key in _UNPREFIXED_STEPS
        if is_step and settings.switch(key, False) and key not in _STEPS:
            raise settings.error(key, "false, as this step is not supported (give an .npz instead)")
    channels = base.channels
    if settings.switch("do_flip_channel_order", False) and channels == "RGB":
        channels = "BGR"
    resize, crop = _geometry(settings)
    steps = Preprocess(channels, base.layout, resize, _resample(settings), crop)
    if settings.switch("do_rescale", True):
        steps = replace(steps, scale=settings.positive("rescale_factor", 1 / 255))
    if settings.switch("do_normalize", settings.has("image_mean")):
        for key in ("image_mean", "image_std"):
            if not settings.has(key):
                raise settings.error(key, "numbers, since do_normalize is true")
        steps = replace(
            steps,
            mean=settings.per_channel("image_mean", channels, steps.mean),
            std=settings.per_channel("image_std", channels, steps.std, positive=True),
        )
    return steps


def _geometry(settings: Settings) -> tuple[tuple[int, int] | int | None, tuple[int, int] | None]:
    """What to resize to and what to crop, as `Preprocess` has them."""
    crop: tuple[int, int] | None = None
    if settings.switch("do_center_crop", settings.has("crop_size")):
        crop = settings.height_width("crop_size")
        if crop is None:
            raise settings.error("crop_size", "pixels, since do_center_crop is true")
    if not settings.switch("do_resize", settings.has("size")):
        return None, crop
    has_fraction = "crop_pct" in settings.values
    resize = _resize(settings, number_is_square=crop is None and not has_fraction)
    if not has_fraction or isinstance(resize, tuple):
        return resize, crop
    if resize >= _CONVNEXT_WARPS_FROM:
        return (resize, resize), crop
    return int(resize / settings.positive("crop_pct", 224 / 256)), crop or (resize, resize)


def _resize(settings: Settings, number_is_square: bool) -> tuple[int, int] | int:
    size = settings.values.get("size")
    if isinstance(size, dict) and size.keys() == {"shortest_edge"}:
        return Settings(size, settings.path).pixels("shortest_edge")
    if isinstance(size, int) and not settings.switch("default_to_square", number_is_square):
        return settings.pixels("size")
    both = settings.height_width("size")
    if both is None:
        raise settings.error("size", "pixels, since do_resize is true")
    return both


def _resample(settings: Settings) -> int:
    value = settings.values.get("resample")
    if value is None:
        return BILINEAR
    if type(value) is not int or not 0 <= value <= 5:
        raise settings.error("resample", "the number of a Pillow filter, 0..5")
    return value
