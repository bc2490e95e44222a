"""An edited model on its way into files."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from onnxunlearn.frozen import freeze
from onnxunlearn.graph.atomic import permissions_of, replacing
from onnxunlearn.graph.data_copies import copy_names, copy_patched, patches_of
from onnxunlearn.graph.dimensions import free_sizes
from onnxunlearn.graph.external import data_file, lend
from onnxunlearn.graph.file_bytes import FileBytes
from onnxunlearn.graph.held import parsed
from onnxunlearn.graph.order import put_in_order
from onnxunlearn.graph.outputs import NOTHING, Inputs, check_outputs
from onnxunlearn.graph.save import patch, relocated
from onnxunlearn.graph.snapshot import Snapshot
from onnxunlearn.graph.tensors import in_data_file
from onnxunlearn.graph.view import Model
from onnxunlearn.stamps import changed


@dataclass(frozen=True)
class Edited:
    """content: the edited model file's bytes, in which data files still have the original's names. outside:
    new values of tensors that lie in data files. began: the original's files when work on them began."""

    original: Model = field(repr=False)
    content: FileBytes = field(repr=False)
    outside: Mapping[str, np.ndarray] = field(repr=False)
    began: Snapshot = field(repr=False)

    def __post_init__(self) -> None:
        freeze(self, "outside")

    @property
    def data(self) -> bytes:
        """The edited model file's bytes as one; of a large model a copy."""
        return bytes(self.content)

    @classmethod
    def of(cls, model: Model, edits: Mapping[str, np.ndarray], began: Snapshot | None = None) -> "Edited":
        """began: default, the files as they are now. Raises UnsupportedError for a tensor that is stored in a
        way that cannot be patched."""
        outside = {n for n in edits if in_data_file(model.stored[n])}
        inside = {name: values for name, values in edits.items() if name not in outside}
        values = {name: edits[name] for name in edits if name in outside}
        patches_of(model.stored, values)  # refuses what does not fit now, not when the work is done
        return cls(model, patch(model, inside), values, began or Snapshot.of(model))

    def model(self) -> Model:
        """To run it before it is written: the edited tensors from memory, the others where the original has
        them."""
        proto, held = parsed(self.content)
        free_sizes(proto)
        put_in_order(proto.graph)
        made = Model(self.content, proto, self.original.path, lent={**held, **self.outside})
        for name, values in self.outside.items():
            lend(made.stored[name], values)
        return made

    def save(
        self, out: str | os.PathLike[str], overwrite: bool = False, inputs: Inputs = NOTHING
    ) -> list[Path]:
        """Write the model, and its data files beside it: all or none. Each has the permissions of the file
        that it is a copy of. Returns the paths, the model's first.

        inputs: files that must not be written, besides the original's. Raises InputError if something is in
        the way, the disk is full, or a file of the original is no longer what it was when work on it began.
        """
        path = check_outputs(self.original, out, overwrite, inputs)
        names = copy_names(self.original, path.name)
        content = relocated(self.content, names)
        self.began.check()
        with ExitStack() as stack:
            # Left in reverse order: the model, which makes the files a whole, takes its place last.
            file = stack.enter_context(replacing(path, permissions_of(self.original.path)))
            file.writelines(content.pieces)
            targets = self._copy_data(path.parent, names, stack)
            if targets:  # an older model must not be found with parts of this one
                path.unlink(missing_ok=True)
        return [path, *targets]

    def renamed(self, out: Path) -> list[tuple[str, str]]:
        """Data files of the original, each with what its copy is called beside `out`, where that differs."""
        return [(one, other) for one, other in copy_names(self.original, out.name).items() if one != other]

    def _copy_data(self, folder: Path, names: Mapping[str, str], stack: ExitStack) -> list[Path]:
        """Into files that take their place when the stack is left."""
        patches = patches_of(self.original.stored, self.outside)
        written = []
        for name in dict.fromkeys(names.values()):
            same = [location for location, copy in names.items() if copy == name]
            assert self.original.folder is not None
            source = data_file(self.original.folder, same[0])
            file = stack.enter_context(replacing(folder / name, permissions_of(source)))
            copied = copy_patched(source, file, [p for location in same for p in patches.get(location, [])])
            if copied != self.began.data[same[0]].sha256:
                raise changed(self.original.folder / same[0])
            written.append(folder / name)
        return written
