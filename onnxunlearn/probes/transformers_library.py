"""The library `transformers` at work, where it is installed (the extra `hf`).

Its processors are made from the settings at hand: nothing is looked for on the hub, and no code that a file
may name is run. Of their two kinds it is those that work with Pillow, as Pillow is what reads the images;
those for torchvision resize a little differently (see docs/preprocessing.md), and are used where there is no
other for a class.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxunlearn.errors import InputError, one_line
from onnxunlearn.probes.preprocess import Preprocess, as_channels, check_elongation
from onnxunlearn.probes.processors import HARMLESS_STEPS
from onnxunlearn.probes.settings import Settings

if TYPE_CHECKING:  # Pillow is optional; who holds an image has it
    from PIL.Image import Image

_NAME = re.compile(r"\w+ImageProcessor")
_SIZES = ("size", "crop_size", "pad_size")
_FETCHING = ("OneFormerImageProcessor", "Pix2StructImageProcessor")  # these download what they need


@dataclass(frozen=True)
class LibraryProcessor:
    """A processor of `transformers`. name and path: what it is called, and where its settings are from."""

    processor: Any
    name: str
    path: Path
    channels: str
    layout: str

    def apply(self, image: "Image") -> np.ndarray:
        """One image as an array [C, H, W] or [H, W, C]. Raises InputError for what the library refuses."""
        check_elongation(image)
        image = as_channels(image, self.channels)
        try:
            pixels = np.asarray(self.processor(image, return_tensors="np")["pixel_values"])
        except Exception as error:  # whatever the library thinks of a stranger's settings
            raise _refused(self.name, self.path, error) from None
        if pixels.ndim != 4 or len(pixels) != 1:
            raise InputError(
                f"{self.path}: {self.name} makes {pixels.shape} of an image, expected one array of channels, "
                "height and width; give an .npz instead"
            )
        return pixels[0] if self.layout == "NCHW" else pixels[0].transpose(1, 2, 0)


def library_processor(name: str, settings: Settings, base: Preprocess) -> LibraryProcessor | None:
    """The library's processor of that name; None if it has none, or is not installed, or is older than 5.6.

    Raises InputError if the library refuses the settings.
    """
    made = _class(name)
    if made is None:
        return None
    for key in _SIZES:
        _check_size(settings, key)
    if isinstance(settings.values.get("resample"), str):  # the library would take it for bilinear
        raise settings.error("resample", "the number of a Pillow filter, 0..5")
    values = {key: value for key, value in settings.values.items() if not key.startswith("_")}
    try:
        plain = made()
        for key, value in values.items():
            known = hasattr(plain, key) or key in HARMLESS_STEPS
            if key.startswith("do_") and value is True and not known:
                raise settings.error(key, f"false, as {name} has no such step")
        processor = made(**{**values, "do_convert_rgb": False})  # it is done before
    except InputError:
        raise
    except Exception as error:
        raise _refused(name, settings.path, error) from None
    return LibraryProcessor(processor, name, settings.path, base.channels, base.layout)


def library_version() -> str | None:
    """The library's version, if it is installed and can be used."""
    library = _library()
    return None if library is None else str(library.__version__)


def _library() -> Any | None:
    """None also for a broken library (as beside a torchvision for another torch), and for one too old."""
    try:
        import transformers

        # before 5.6 there was no choice of kinds, before 5 the classes had other defaults
        return transformers if hasattr(transformers, "ViTImageProcessorPil") else None
    except Exception:
        return None


def _class(name: str) -> Any | None:
    """The class, that for Pillow if there is one."""
    library = _library() if _NAME.fullmatch(name) and name not in _FETCHING else None
    try:
        return getattr(library, f"{name}Pil", None) or getattr(library, name, None)
    except Exception:  # the module of a class is imported only now
        return None


def _check_size(settings: Settings, key: str) -> None:
    """Raises InputError if a number of pixels there is beyond measure, as such an image would be."""
    value = settings.values.get(key)
    numbers = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
    for number in numbers:
        if isinstance(number, int | float):
            Settings({key: number}, settings.path).pixels(key)


def _refused(name: str, path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: {name} of transformers does not take it ({one_line(error)}); correct it")
