"""Vocabularies: one token a line, whatever the tokens are."""

from pathlib import Path

import numpy as np
import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.pictures.vocabulary import read_vocabulary, words


def test_lines_are_ids(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_bytes("[PAD]\n\n  ##ing\r\n€\n".encode())
    assert read_vocabulary(path) == ["[PAD]", "", "  ##ing", "€"]


def test_missing_and_empty_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_vocabulary(tmp_path / "none.txt")
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(InputError, match="no tokens"):
        read_vocabulary(tmp_path / "empty.txt")


def test_ids_the_vocabulary_lacks_stay_numbers() -> None:
    assert words(np.array([1, 0, 7, -1]), ["a", "b"]).tolist() == ["b", "a", "7", "-1"]
    assert words(np.array([1, 0]), None).tolist() == ["1", "0"]
