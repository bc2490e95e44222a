"""A folder of images and the masks that go with them."""

import os
from pathlib import Path

import numpy as np

from onnxunlearn.errors import InputError, one_line
from onnxunlearn.probes.images import image_files as files_below

#: the folders of images and of masks in a folder that has both
IMAGES, MASKS = "images", "masks"
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm"})


def image_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """The images, by name, and the mask of each; no masks where there are none.

    Raises InputError where some images have a mask and others have not, or there are no images.
    """
    masks = {path.stem: path for path in _pictures(folder / MASKS) if path.suffix.lower() == ".png"}
    inside = folder / IMAGES
    images = _pictures(inside if inside.is_dir() else folder)
    if not (folder / MASKS).is_dir():  # beside the images: photo.jpg and photo.png
        others = {path.stem for path in images if path.suffix.lower() != ".png"}
        masks = {path.stem: path for path in images if path.suffix.lower() == ".png" and path.stem in others}
        images = [path for path in images if path not in set(masks.values())]
    if not images:
        place = inside if inside.is_dir() else folder
        deeper = next((p.parent for p in sorted(place.glob("*/**/*")) if _is_picture(p)), None)
        hint = "put them there, masks in masks/" if deeper is None else f"there are some in {deeper}: give it"
        raise InputError(f"{place}: no images; {hint}")
    if not masks:
        return images, []
    without = [path for path in images if path.stem not in masks]
    if without:
        raise InputError(
            f"{without[0]}: has no mask, others have; give {without[0].stem}.png for it, or no masks at all"
        )
    stems = [path.stem for path in images]
    if twice := next((stem for stem in stems if stems.count(stem) > 1), None):
        raise InputError(f"{folder}: two images are called {twice!r}; give each its own mask")
    return images, [masks[stem] for stem in stems]


def unnamed_files(folder: Path) -> list[Path]:
    """The images in `folder` and in all folders below it, sorted, without what says what is in them: masks,
    in folders of that name or beside the images, and whatever is no image. Raises InputError if there are
    none."""
    found = [path for path in files_below(folder) if _is_picture(path)]
    found = [path for path in found if MASKS not in path.relative_to(folder).parts[:-1]]
    photographs = {path.with_suffix("") for path in found if path.suffix.lower() != ".png"}
    images = [p for p in found if p.suffix.lower() != ".png" or p.with_suffix("") not in photographs]
    if not images:
        raise InputError(f"{folder}: no images in it or in folders below; give a folder that has some")
    return images


def read_mask(path: Path) -> np.ndarray:
    """Class numbers [height, width]: of a PNG with a palette its indices, of one in grey its values. Raises
    InputError for a file that is no such mask."""
    from PIL import Image

    try:
        with path.open("rb") as file, Image.open(file, formats=("PNG",)) as image:
            if image.mode not in ("P", "L", "1", "I", "I;16"):
                raise InputError(
                    f"{path}: a mask holds class numbers, in grey or by a palette, and this is {image.mode}; "
                    "convert it"
                )
            return np.array(image).astype(np.int64)
    except InputError:
        raise
    except Exception as error:  # what Pillow's decoders raise on damaged files is not one family
        raise InputError(f"{path}: not a readable mask ({one_line(error)}); convert it") from None


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}); check its permissions") from None
    return [folder / name for name in names if _is_picture(Path(name))]


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
