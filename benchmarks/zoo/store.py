"""Exports and references kept on disk: what is there is reused, what is not is made.

There is a folder for each family and state of its source; a change makes that family's files anew.
"""

from __future__ import annotations

import hashlib
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from zoo.architecture import Architecture
from zoo.export import Variant, export
from zoo.reference import Reference, reference
from zoo.rewritten import Rewritten

#: families that other modules have a part in
_ALSO = {"runtime": ("rewritten", "plain", "residual", "mobile", "sequences", "vision", "text")}


class Store:
    """The files of one family below `root`."""

    def __init__(self, root: Path, family: str) -> None:
        state = hashlib.sha256()
        for name in (family, "architecture", "export", "reference", *_ALSO.get(family, ())):
            state.update(Path(__file__).with_name(f"{name}.py").read_bytes())
        for package in ("torch", "onnx", "onnxscript", "transformers"):
            state.update(_version(package).encode())
        self.folder = root / f"{family}-{state.hexdigest()[:12]}"
        for outdated in root.glob(f"{family}-*"):
            if outdated != self.folder:
                shutil.rmtree(outdated)
        self.folder.mkdir(parents=True, exist_ok=True)

    def exported(self, architecture: Architecture, variant: Variant | Rewritten) -> tuple[Path | None, str]:
        """The file and "", or None and why the exporter gave up."""
        path = self.folder / f"{architecture.name}.{variant}.onnx"
        failed = path.with_suffix(".failed.txt")
        if not path.exists() and not failed.exists():
            partial = path.with_suffix(".partial")
            try:
                if isinstance(variant, Variant):
                    export(architecture, variant, partial)
                else:
                    variant.make(architecture, partial)
                partial.rename(path)
            except Exception as error:  # whatever an exporter raises
                failed.write_text(f"{type(error).__name__}: {error}")
                partial.unlink(missing_ok=True)
        return (path, "") if path.exists() else (None, failed.read_text())

    def reference(self, architecture: Architecture, batch: int) -> Reference:
        path = self.folder / f"{architecture.name}.batch-{batch}.npz"
        if not path.exists():
            partial = path.with_suffix(".partial.npz")
            reference(architecture, batch).save(partial)
            partial.rename(path)
        return Reference.load(path)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
