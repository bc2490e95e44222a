"""A Hugging Face preprocessor_config.json: the same words mean different steps to each processor class."""

from typing import Any

from onnxunlearn.errors import InputError
from onnxunlearn.probes.preprocess import Preprocess, Preprocessor
from onnxunlearn.probes.processors import READINGS
from onnxunlearn.probes.settings import Settings
from onnxunlearn.probes.transformers_library import library_processor, library_version
from onnxunlearn.text import parse_json, read_text

_MARKS = (
    "crop_size",
    "feature_extractor_type",
    "image_mean",
    "image_processor",
    "image_processor_type",
    "image_std",
    "rescale_factor",
)
#: what a model's config.json calls the model -> its processor, for files that leave their class open
_OF_MODELS = {
    "align": "EfficientNet",
    "beit": "Beit",
    "bit": "Bit",
    "clip": "CLIP",
    "convnext": "ConvNext",
    "convnextv2": "ConvNext",
    "cvt": "ConvNext",
    "data2vec-vision": "Beit",
    "deit": "DeiT",
    "dinat": "ViT",
    "dinov2": "Bit",
    "efficientnet": "EfficientNet",
    "focalnet": "Bit",
    "hiera": "Bit",
    "ijepa": "ViT",
    "levit": "Levit",
    "mobilenet_v1": "MobileNetV1",
    "mobilenet_v2": "MobileNetV2",
    "mobilevit": "MobileViT",
    "mobilevitv2": "MobileViT",
    "poolformer": "PoolFormer",
    "pvt": "Pvt",
    "pvt_v2": "Pvt",
    "regnet": "ConvNext",
    "resnet": "ConvNext",
    "siglip": "Siglip",
    "swiftformer": "ViT",
    "swin": "ViT",
    "swinv2": "ViT",
    "vit": "ViT",
    "vit_mae": "ViT",
    "vit_msn": "ViT",
}


def is_hugging_face(settings: Settings) -> bool:
    """Whether these settings are in Hugging Face's words."""
    return any(key in _MARKS or key.startswith("do_") for key in settings.values)


def hugging_face_steps(settings: Settings, base: Preprocess, *, library: bool = True) -> Preprocessor:
    """The steps described in `settings`; layout and channels are those of `base`.

    The library `transformers` does the work where it is installed and knows the class; else our own reading,
    for the classes in `processors`. library: whether it may be imported, which takes seconds. Raises
    InputError for a class that neither knows, for a file that does not say its class, and for steps and
    values not understood.
    """
    nested = settings.values.get("image_processor")  # in a processor_config.json
    if isinstance(nested, dict):
        settings = Settings(nested, settings.file)
    name = _class_name(settings)
    found = library_processor(name, settings, base) if library else None
    if found is not None:
        return found
    if name in READINGS:
        return READINGS[name](settings, base)
    version = library_version() if library else None
    problem, install = f"not to be had from transformers {version}", ""
    if version is None:
        problem = "not among the processors that are read without the library transformers"
        install = "pip install 'onnxunlearn[hf]', or "
    raise InputError(
        f"{settings.path}: {name} is {problem}; {install}describe its steps in a file of our own keys "
        "(docs/preprocessing.md), or give an .npz"
    )


def _class_name(settings: Settings) -> str:
    """As in `ViTImageProcessor`, whatever it was called in older files, and for torchvision."""
    for key in ("image_processor_type", "feature_extractor_type"):
        if settings.has(key):
            name = settings.values[key]
            if not isinstance(name, str):
                raise settings.error(key, "the name of a processor class")
            return name.removesuffix("Fast").removesuffix("Pil").replace("FeatureExtractor", "ImageProcessor")
    model = _model_type(settings)
    if model in _OF_MODELS:
        return f"{_OF_MODELS[model]}ImageProcessor"
    raise InputError(
        f"{settings.path}: names no processor class, on which the meaning of the rest depends; add "
        '"image_processor_type", like "ViTImageProcessor", or put the model\'s config.json beside it'
    )


def _model_type(settings: Settings) -> Any:
    """What the config.json beside the file says, None if there is none."""
    if settings.file is None or not (config := settings.file.with_name("config.json")).is_file():
        return None
    values = parse_json(read_text(config), config)
    return values.get("model_type") if isinstance(values, dict) else None
