"""What `pretrained_cfg` in the config.json of a timm model says of preprocessing.

Read from timm 1.0.31 (`timm.data.resolve_data_config`, `create_transform` for evaluation), tested against it.
"""

from dataclasses import replace

from onnxunlearn.probes.preprocess import FILTERS, Preprocess
from onnxunlearn.probes.settings import Settings

_MEAN, _STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
_DEFAULTS = {
    "input_size": [3, 224, 224],
    "interpolation": "bicubic",
    "crop_pct": 0.875,
    "crop_mode": "center",
    "mean": _MEAN,
    "std": _STD,
}


def is_timm(settings: Settings) -> bool:
    return isinstance(settings.values.get("pretrained_cfg"), dict)


def timm_steps(settings: Settings, base: Preprocess) -> Preprocess:
    """timm's steps for evaluation: resize, crop `input_size` from the centre, normalise.

    Raises InputError for the crop mode "border", for inputs that are not square, and for unfit values.
    """
    config = Settings(settings.values["pretrained_cfg"], settings.path).filled(_DEFAULTS)
    size = config.values["input_size"]
    if not isinstance(size, list) or len(size) != 3 or size[1] != size[2]:
        raise config.error("input_size", "[channels, pixels, pixels], a square")
    side = Settings({"input_size": size[1]}, settings.path).pixels("input_size")
    mode = config.choice("crop_mode", ("center", "squash"))
    fraction = config.positive("crop_pct", 0.875)
    if fraction > 1:
        raise config.error("crop_pct", "the fraction that is cut out, at most 1")
    resize = int(side / fraction)
    return replace(
        base,
        resize=(resize, resize) if mode == "squash" else resize,
        resample=FILTERS.index(config.choice("interpolation", FILTERS) or "bicubic"),
        crop=(side, side),
        scale=1 / 255,
        mean=config.per_channel("mean", base.channels, (0.0,)),
        std=config.per_channel("std", base.channels, (1.0,), positive=True),
        torchvision_crop=True,
    )
