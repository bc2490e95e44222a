"""The files that a call reads: nothing that it writes may take their place."""

import os
from collections.abc import Sequence
from pathlib import Path

from onnxunlearn.graph import Model, input_files
from onnxunlearn.probes import Source, source_files
from onnxunlearn.probes.preprocess_file import preprocess_beside
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


def model_files(model: Model) -> dict[Path, str]:
    """Those that a model is made of, and what lies beside it and is taken without being asked for: what its
    classes are called, how its images are prepared."""
    found = input_files(model)
    if (beside := preprocess_beside(model.path)) is not None:
        found[beside] = "the input model's preprocessing"
    return found
