"""Files of this machine, as the 2,048 bytes that magika looks at: other machines have others."""

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from real.photographs import logits
from real.row import Samples

#: folders that are looked through, files of one ending at most, and probability from which it is believed
_FOLDERS, _EACH, _SURE = (sys.prefix, sys.base_prefix, "/usr/share", "/usr/lib", "/etc"), 40, 0.9
#: classes that are given, and probes of the class and of each other: 506
_CLASSES, _OWN, _OTHERS = 31, 26, 16
#: files of a class that judge at most, and of those that the model is not sure of
_JUDGING, _UNSURE = 12, 100
#: bytes at either end, and what stands for none
_END, _NONE = 1024, 256
_FORGET = "html"


def bytes_of_files(folder: Path, model: Path, _: Path | None) -> Samples:
    """506 probes of 31 classes, that of HTML the one to forget; judged by other files."""
    paths = list(_paths())
    x = np.stack([_inputs(path) for path in paths])
    said = logits(model, x)  # probabilities
    names = _names(model)
    y = np.where(said.max(axis=1) > _SURE, said.argmax(axis=1), -1)
    forget = names.index(_FORGET)
    order = np.random.default_rng(0).permutation(len(y))
    counts = Counter(y[y >= 0].tolist())
    others = [c for c, count in counts.most_common() if c != forget and count > _OTHERS]
    given = [
        order[y[order] == c][:n] for c, n in [(forget, _OWN), *((c, _OTHERS) for c in others)][:_CLASSES]
    ]
    probes = np.concatenate(given)
    left = order[~np.isin(order, probes)]
    unseen = np.concatenate([left[y[left] == c][: _JUDGING if c >= 0 else _UNSURE] for c in np.unique(y)])
    found = Samples(folder / "files.npz", folder / "files_unseen.npz", forget)
    np.savez(found.probes, x=x[probes], y=y[probes])
    np.savez(found.unseen, x=x[unseen], y=y[unseen])
    return found


def _paths() -> Iterator[Path]:
    """Files of every ending, in the order of their names."""
    counts: Counter[str] = Counter()
    for start in dict.fromkeys(map(os.path.realpath, _FOLDERS)):
        for folder, folders, names in os.walk(start):
            folders.sort()
            for name in sorted(names):
                path = Path(folder, name)
                if counts[path.suffix] < _EACH and path.is_file() and path.stat().st_size >= 64:
                    counts[path.suffix] += 1
                    yield path


def _inputs(path: Path) -> np.ndarray:
    """The first and last bytes, without white space around, as the package takes them."""
    with path.open("rb") as file:
        begin = file.read(4096).lstrip()[:_END]
        file.seek(max(0, path.stat().st_size - 4096))
        end = file.read(4096).rstrip()[-_END:]
    found = np.full(2 * _END, _NONE, np.int32)
    found[: len(begin)] = np.frombuffer(begin, np.uint8)
    found[2 * _END - len(end) :] = np.frombuffer(end, np.uint8)
    return found


def _names(model: Path) -> list[str]:
    return list(json.loads((model.parent / "config.min.json").read_text())["target_labels_space"])
