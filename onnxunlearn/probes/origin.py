"""Where probes come from, as reports say it: names without folders, and digests to know them again by.

| source | what is said |
|---|---|
| a file | `sha256` and `bytes` of it |
| a folder | how many `files` (images) are in it, and the `sha256` of their list, see `sha256_of_folder` |
| | `preprocess`, the file that says how they become inputs, if one does |
| `script.py:function` | `sha256` and `bytes` of the script, and `arrays` |
| arrays in memory, or made from the model | `arrays` |

`arrays` is the digest of what the model is fed with and, under the empty name, of the samples' classes, or of
maps of what is where in them, see `sha256_of_arrays`. Boxes beside images add `annotations`: where they are,
and the `sha256` of them (of the list of them, where there are several files).
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from onnxunlearn.digests import sha256_of, sha256_of_arrays, sha256_of_folder
from onnxunlearn.errors import InputError
from onnxunlearn.probes.probes import Probes


def from_file(probes: Probes, path: Path) -> Probes:
    """Raises InputError if the file is gone."""
    return replace(probes, origin=_file(path))


def from_folder(
    probes: Probes, folder: Path, files: Sequence[Path], preparation: Path | None = None
) -> Probes:
    """files: the images. preparation: the file that says how they become inputs, if one does. Raises
    InputError if one is gone."""
    try:
        digest = sha256_of_folder(folder, files)
    except OSError as error:
        raise _unreadable(folder, error) from None
    origin = {"source": folder.absolute().name, "sha256": digest, "files": len(files)}
    if preparation is not None and os.path.isfile(preparation):  # a pipe can be read only once
        said = _file(preparation)
        origin["preprocess"] = {"path": said["source"], "sha256": said["sha256"]}
    return replace(probes, origin=origin)


def from_script(probes: Probes, path: Path, function: str, maps: np.ndarray | None = None) -> Probes:
    """maps: what it says is where. Raises InputError if the script is gone."""
    said = {**_file(path), "source": f"{path.name}:{function}", "arrays": _arrays(probes, maps)}
    return replace(probes, origin=said)


def from_memory(probes: Probes, maps: np.ndarray | None = None) -> Probes:
    """Or from where they say, if they know it. maps: what is where in them, if that is given, too."""
    source = probes.source.replace("\\", "/").rpartition("/")[2]
    said = {} if maps is not None else probes.origin
    return replace(probes, origin=said or {"source": source, "arrays": _arrays(probes, maps)})


def with_annotations(probes: Probes, files: Sequence[Path]) -> Probes:
    """files: what says which objects are in the images, in one folder. Raises InputError if one is gone."""
    first = files[0]
    try:
        if len(files) == 1:
            said = {"path": first.name, "sha256": sha256_of(first)}
        else:
            said = {"path": first.parent.name, "sha256": sha256_of_folder(first.parent, files)}
    except OSError as error:
        raise _unreadable(first, error) from None
    return replace(probes, origin={**probes.origin, "annotations": said})


def _file(path: Path) -> dict[str, Any]:
    try:
        return {"source": path.name, "sha256": sha256_of(path), "bytes": path.stat().st_size}
    except OSError as error:
        raise _unreadable(path, error) from None


def _arrays(probes: Probes, maps: np.ndarray | None = None) -> str:
    classes = probes.y if probes.labels is None else probes.labels
    classes = classes if maps is None else maps
    return sha256_of_arrays(probes.feeds if classes is None else {**probes.feeds, "": classes})


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path}: cannot be read ({error.strerror}); check name and permissions")
