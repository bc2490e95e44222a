"""An edited model on its way into files."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx

from onnxunlearn.errors import InputError
from onnxunlearn.graph.atomic import replacing
from onnxunlearn.graph.dimensions import free_sizes
from onnxunlearn.graph.external import copy_patched, lend, patches_of, renamed
from onnxunlearn.graph.save import check_output, input_files, patch, relocated
from onnxunlearn.graph.tensors import check_tensor, external_tensors
from onnxunlearn.graph.view import Model


@dataclass(frozen=True)
class Edited:
    """data: the edited model file's bytes, in which data files still have the original's names. outside: new
    values of tensors that lie in data files."""

    original: Model = field(repr=False)
    data: bytes = field(repr=False)
    outside: Mapping[str, np.ndarray] = field(repr=False)

    @classmethod
    def of(cls, model: Model, edits: Mapping[str, np.ndarray]) -> "Edited":
        """Raises UnsupportedError for a tensor that is stored in a way that cannot be patched."""
        outside = {n for n in edits if model.stored[n].data_location == onnx.TensorProto.EXTERNAL}
        inside = {name: values for name, values in edits.items() if name not in outside}
        values = {name: edits[name] for name in edits if name in outside}
        patches_of(model.stored, values)  # refuses what does not fit now, not when the work is done
        return cls(model, patch(model, inside), values)

    def model(self) -> Model:
        """To run it before it is written: the edited tensors from memory, the others where the original has
        them."""
        proto = onnx.load_model_from_string(self.data)
        free_sizes(proto)
        made = Model(self.data, proto, self.original.path, lent=self.outside)
        for name, values in self.outside.items():
            lend(made.stored[name], values)
        return made

    def save(self, out: str | os.PathLike[str], overwrite: bool = False) -> list[Path]:
        """Write the model, and its data files beside it: all or none. Returns the paths, the model's first.

        Raises InputError if something is in the way, a data file was cut short, or the disk is full.
        """
        path = check_outputs(self.original, out, overwrite)
        names = self._locations(path)
        targets = {location: path.parent / name for location, name in names.items()}
        data = relocated(self.data, onnx.ModelProto.FromString(self.data), names)
        patches = patches_of(self.original.stored, self.outside)
        folder = self.original.folder
        for tensor in external_tensors(self.original.proto):  # they may have become shorter meanwhile
            check_tensor(tensor, str(self.original.path), folder)
        with ExitStack() as stack:
            # Left in reverse order: the model, which makes the files a whole, takes its place last.
            stack.enter_context(replacing(path)).write(data)
            for location, target in targets.items():
                assert folder is not None
                target.parent.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context(replacing(target))
                copy_patched(folder / location, file, patches.get(location, []))
            if targets:  # an older model must not be found with parts of this one
                path.unlink(missing_ok=True)
        return [path, *targets.values()]

    def _locations(self, out: Path) -> dict[str, str]:
        model = self.original
        return renamed(model.proto, model.path, out) if model.path else {}


def check_outputs(model: Model, out: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """`out` as a path at which the edited model may be written, with its data files. Raises InputError if
    one of them is an input, or exists."""
    path = check_output(model, out, overwrite)
    if model.path is None or not any(external_tensors(model.proto)):
        return path
    for name in renamed(model.proto, model.path, path).values():
        target = path.parent / name
        if target.exists() and any(target.samefile(file) for file in input_files(model) if file.exists()):
            raise InputError(f"{target}: is part of the input model, which is never written; give another -o")
        if target.exists() and not overwrite:
            raise InputError(f"{target}: exists already; add --overwrite or give another path with -o")
    return path
