"""What token ids stand for."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from onnxunlearn.errors import InputError
from onnxunlearn.text import read_text


def read_vocabulary(path: str | os.PathLike[str]) -> list[str]:
    """Tokens in a file, one a line, in order of their ids. Raises InputError if it is missing or empty."""
    tokens = read_text(Path(path)).split("\n")
    if tokens[-1] == "":
        tokens.pop()
    if not tokens:
        raise InputError(f"{path}: holds no tokens; give one a line")
    return [token.rstrip("\r") for token in tokens]


def words(ids: np.ndarray, vocabulary: Sequence[str] | None) -> np.ndarray:
    """Token ids [T] as str [T]; ids that the vocabulary lacks stay numbers."""
    known = len(vocabulary) if vocabulary else 0
    return np.array(
        [vocabulary[i] if vocabulary and 0 <= i < known else str(i) for i in ids.tolist()], object
    )
