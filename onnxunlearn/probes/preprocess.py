"""From a picture to the array a model takes: resize, crop, scale, normalise, order the axes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from onnxunlearn.errors import InputError
from onnxunlearn.probes.inputs import Input

if TYPE_CHECKING:  # Pillow is optional; who holds an image has it
    from PIL.Image import Image

LAYOUTS = ("NCHW", "NHWC")
CHANNEL_ORDERS = ("RGB", "BGR", "L")
#: Pillow's filters by its numbers for them, which Hugging Face files use too
FILTERS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
BILINEAR, BICUBIC = 2, 3
_MOST_ELONGATED = 100  # times as long as wide; resized by their shorter side such images become enormous


class Preprocessor(Protocol):
    """What turns a picture into the array a model takes, [C, H, W] or [H, W, C] as its layout says."""

    @property
    def layout(self) -> str: ...

    def apply(self, image: "Image") -> np.ndarray: ...


@dataclass(frozen=True)
class Preprocess:
    """The steps, in this order.

    resize: (height, width) in pixels, or the length of the shorter side, or None. resample: Pillow's filter
    number. crop: (height, width) cut from the centre, black where the image is smaller, or None. Then
    `(pixel * scale - mean) / std` on pixels 0..255; mean and std are one number, or one a channel in
    `channels` order. channels: "RGB", "BGR" or "L" (grayscale). layout: "NCHW" or "NHWC".
    torchvision_crop: of an odd number of rows to cut off (or to add), which side has one more: as
    torchvision's CenterCrop rounds, or as Hugging Face's processors do.
    """

    channels: str
    layout: str
    resize: tuple[int, int] | int | None = None
    resample: int = BILINEAR
    crop: tuple[int, int] | None = None
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    torchvision_crop: bool = False

    def apply(self, image: "Image") -> np.ndarray:
        """One image as an array [C, H, W] or [H, W, C]: float32, or uint8 if values stay as they are.

        Raises InputError if its shorter side shall be resized and the longer one is beyond all measure.
        """
        image = as_channels(image, self.channels)
        if self.resize is not None:
            image = image.resize(self._target(image), self.resample)
        if self.crop is not None:
            height, width = self.crop
            left, top = self._offset(image.width - width), self._offset(image.height - height)
            image = image.crop((left, top, left + width, top + height))
        pixels = np.asarray(image).reshape(image.height, image.width, -1)
        if self.channels == "BGR":
            pixels = pixels[..., ::-1]
        if (self.scale, self.mean, self.std) != (1.0, (0.0,), (1.0,)):
            mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
            pixels = (pixels.astype(np.float32) * np.float32(self.scale) - mean) / std
        return pixels.transpose(2, 0, 1) if self.layout == "NCHW" else pixels

    def undone(self, values: np.ndarray) -> np.ndarray:
        """The pixels 0..255 that such values [..., channels] were made of, float64, red first."""
        mean, std = np.array(self.mean), np.array(self.std)
        pixels = (values.astype(np.float64) * std + mean) / self.scale
        return pixels[..., ::-1] if self.channels == "BGR" else pixels

    def _target(self, image: "Image") -> tuple[int, int]:
        """The (width, height) to resize to; the longer side is rounded down, as the training libraries do."""
        if isinstance(self.resize, tuple):
            return self.resize[1], self.resize[0]
        assert self.resize is not None
        check_elongation(image)
        if image.width <= image.height:
            return self.resize, self.resize * image.height // image.width
        return self.resize * image.width // image.height, self.resize

    def _offset(self, surplus: int) -> int:
        if not self.torchvision_crop:
            return surplus // 2
        return round(surplus / 2) if surplus > 0 else -(-surplus // 2)


def as_channels(image: "Image", channels: str) -> "Image":
    """The image in grey or in colours; what is transparent shows the colour it is stored with."""
    return image.convert("L" if channels == "L" else "RGB")


def check_elongation(image: "Image") -> None:
    """Raises InputError if resizing the shorter side would make an image of enormous length."""
    width, height = image.size
    if max(width, height) > _MOST_ELONGATED * min(width, height):
        raise InputError(
            f"an image of {width} × {height} pixels, more than {_MOST_ELONGATED} times as long as wide, "
            "cannot be resized by its shorter side; cut or remove it"
        )


def declared_preprocess(model_input: Input, layout: str | None = None) -> Preprocess:
    """What the declaration alone suggests: its H × W and channels, values 0..1 (0..255 for integers).

    layout: known from elsewhere; else guessed by where 1 or 3 channels are declared.
    Raises InputError if the input cannot hold images.
    """
    sizes = model_input.sizes
    takes = f"the model's input {model_input.name!r} takes {model_input.shape_text}"
    if len(sizes) != 4:
        raise InputError(f"{takes}, images need N × C × H × W or N × H × W × C; give an .npz")
    if layout is None:
        layout = "NHWC" if sizes[3] in (1, 3) and sizes[1] not in (1, 3) else "NCHW"
    channels, height, width = sizes[1:] if layout == "NCHW" else (sizes[3], *sizes[1:3])
    if channels not in (None, 1, 3):
        raise InputError(f"{takes}, {channels} channels if {layout}, images give 1 or 3; give an .npz")
    return Preprocess(
        channels="L" if channels == 1 else "RGB",
        layout=layout,
        resize=None if height is None or width is None else (height, width),
        scale=1 / 255 if model_input.is_float else 1.0,
    )
