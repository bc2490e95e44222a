"""A folder with one subfolder of images a class, read with Pillow (an optional dependency)."""

import logging
import os
import re
import warnings
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from onnxunlearn.errors import InputError, one_line
from onnxunlearn.probes.check import other_start
from onnxunlearn.probes.labels import Labels
from onnxunlearn.probes.preprocess import Preprocessor

log = logging.getLogger(__name__)

#: what may be opened: everyday pictures, and none of Pillow's formats that start other programs
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_FORBIDDEN = re.compile(r'[\\/:*?"<>|]')  # in a folder's name, on one system or another
_LITTER = ("Thumbs.db", "desktop.ini")  # what file managers leave behind; names with a dot in front are too


def labelled_files(folder: Path, labels: Labels) -> list[tuple[Path, int]]:
    """The images in `folder` and their classes, sorted by subfolder name, then file name.

    A subfolder is named by a label, or the number that stands for a class; `_` stands for what a label has
    but a folder's name cannot (`t-shirt_top` for `t-shirt/top`). Raises InputError if a name is neither, or
    if there are no subfolders or no images; of subfolders without any a line is logged.
    """
    found: list[tuple[Path, int]] = []
    empty: list[str] = []
    subfolders = [p for p in _visible(folder) if p.is_dir()]
    if not subfolders:
        raise InputError(
            f"{folder}: no subfolders; put the images of each class into one, named by index or label"
        )
    there = {p.name for p in subfolders}
    labels = replace(labels, names=tuple(n if n in there else _FORBIDDEN.sub("_", n) for n in labels.names))
    for subfolder in subfolders:
        try:
            label = labels.column(subfolder.name)
        except InputError as error:
            raise InputError(f"{subfolder}: {error}{_shifted(there, labels)}") from None
        images = [(path, label) for path in _visible(subfolder)]
        found += images
        if not images:
            empty.append(subfolder.name)
    if not found:
        raise InputError(f"{folder}: no images in its subfolders; put the images of each class into one")
    if empty:
        log.warning("%s: no images in %s", folder, ", ".join(empty))
    return found


def _shifted(names: Collection[str], labels: Labels) -> str:
    """Where subfolders are numbers that count the classes from elsewhere than the model: what to do."""
    if not all(name.isascii() and name.isdigit() and len(name) < 10 for name in names):
        return ""
    todo = other_start(np.array([int(name) for name in names]), labels, "the names of all")
    return f"; {todo}" if todo else ""


def image_files(folder: Path) -> list[Path]:
    """The images in `folder` and in all folders below it, whatever these are called, sorted. Raises
    InputError if there are none."""
    found, todo, seen = list[Path](), [folder], set[str]()
    while todo:
        inside = todo.pop()
        if (real := os.path.realpath(inside)) in seen:
            continue  # a link that leads back up
        seen.add(real)
        for path in _visible(inside):
            (todo if path.is_dir() else found).append(path)
    if not found:
        raise InputError(f"{folder}: no images in it or in folders below; give a folder that has some")
    return sorted(found)


def require_pillow() -> None:
    """Raises InputError if Pillow is not installed."""
    try:
        import PIL.Image  # noqa: F401
    except ImportError:
        raise InputError(
            "image folders need Pillow, which is missing; pip install onnxunlearn[images]"
        ) from None


def read_images(
    paths: Sequence[Path], preprocess: Preprocessor, like: tuple[Path, np.ndarray] | None = None
) -> np.ndarray:
    """The images, preprocessed, [N, C, H, W] or [N, H, W, C]; turned upright as their EXIF data says.

    Of an animation or a file of several pages it is the first image. Pillow's limit against decompression
    bombs holds. like: an image, and what it gave; by default the first. Raises InputError that names the file
    that is not a usable image, or whose array has another shape than that one.
    """
    model, first = like or (paths[0], read_image(paths[0], preprocess))
    samples = np.empty((len(paths), *first.shape), first.dtype)
    for index, path in enumerate(paths):
        sample = read_image(path, preprocess)
        if sample.shape != first.shape:
            raise InputError(
                f"{path}: gives shape {sample.shape}, {model.name!r} gave {first.shape}; "
                "resize all images to one size in the preprocessing file"
            )
        samples[index] = sample
    return samples


def read_image(path: Path, preprocess: Preprocessor) -> np.ndarray:
    """One image, as `read_images` does it."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    if not os.path.lexists(path):
        raise InputError(f"{path}: is gone; let nothing change the folder while it is read")
    if not path.is_file():  # reading a pipe could take for ever
        raise InputError(f"{path}: not a file; a class's folder may hold nothing but images")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on palettes and damaged EXIF data
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # not by its path: mapped into memory, uncompressed TIFFs that are turned come out scrambled
            with path.open("rb") as file, Image.open(file, formats=_FORMATS) as image:
                if image.mode in ("I", "F") or image.mode.startswith("I;"):
                    raise InputError("more than 8 bits a channel, which images here cannot have; convert it")
                return preprocess.apply(ImageOps.exif_transpose(image))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        limit = f"{Image.MAX_IMAGE_PIXELS:,} pixels"
        raise InputError(
            f"{path}: larger than {limit}, perhaps a decompression bomb; shrink or remove it"
        ) from None
    except UnidentifiedImageError:  # which names an open file
        raise InputError(f"{path}: not a readable image; convert or remove it") from None
    except Exception as error:  # what Pillow's decoders raise on damaged files is not one family
        raise InputError(f"{path}: not a readable image ({one_line(error)}); convert or remove it") from None


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if not p.name.startswith(".") and p.name not in _LITTER)
    except OSError as error:
        reason = error.strerror or "not a folder"
        raise InputError(f"{folder}: cannot be read ({reason}); expected a folder of images") from None
