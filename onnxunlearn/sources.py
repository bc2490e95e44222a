"""The files that a call reads, besides models: nothing that it writes may take their place."""

import os
from collections.abc import Sequence
from pathlib import Path

from onnxunlearn.probes import Source, source_files
from onnxunlearn.relevance import composite_file

_Path = str | os.PathLike[str]


def files_read(
    data: Source | None,
    preprocess: _Path | None,
    composite: str | None,
    vocabulary: _Path | Sequence[str] | None = None,
) -> dict[Path, str]:
    """Each with what it is. A folder stands for the files in it."""
    found = dict.fromkeys(source_files(data), "the probes")
    if preprocess is not None:
        found[Path(preprocess)] = "the preprocessing file"
    if composite is not None and (rules := composite_file(composite)) is not None:
        found[rules] = "the composite"
    if isinstance(vocabulary, str | os.PathLike):
        found[Path(vocabulary)] = "the vocabulary"
    return found
