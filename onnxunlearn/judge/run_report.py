"""The report of a run, read back: what was made of what, and how."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from onnxunlearn.digests import sha256
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Snapshot
from onnxunlearn.judge.findings import SCHEMA_VERSION
from onnxunlearn.judge.reread import reread
from onnxunlearn.probes import SharedBy, Source
from onnxunlearn.text import read_text

#: what the names of a model's classes say of themselves where `--labels` gave them
_GIVEN = "the labels given"
#: what a run's report may hold of what was asked
_OPTIONS = {
    *("method", "parameters", "composite", "task", "max_retain_drop", "output_name", "preprocess"),
    *("batch_size", "seed", "input_shapes", "as_they_are", "head"),
}


@dataclass(frozen=True)
class Digests:
    """SHA-256 of a model's file, and of its data files by the name that it has for each."""

    model: str
    data: Mapping[str, str]

    @classmethod
    def of(cls, files: Snapshot) -> "Digests":
        return cls(
            sha256(*files.model.content.pieces), {name: file.sha256 for name, file in files.data.items()}
        )

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> "Digests":
        return cls(str(found["sha256"]), {str(f["path"]): str(f["sha256"]) for f in found.get("data", ())})


@dataclass(frozen=True)
class RunReport:
    """original, edited: what the files were. name: of the edited model's file, "" if it was not written.
    forget: the classes as one types them. labels: the names that were given, None if none were. options: by
    name, as `unlearn` takes them, but for what comes from files. shapes: as --input-shapes takes them.
    composite, preprocess: as they were given, files by their name. probes: where they came from, see
    `probes.origin`. changes: see `Diff.to_json`. rows: figures, see `Row.to_json`.
    shared: where no class was to be forgotten but what samples share, where these came from, see
    `probes.shared`; forget is empty then. head: the file that said where classes are said at places, by its
    name. of_places: whether they are."""

    original: Digests
    edited: Digests
    name: str
    forget: str
    labels: tuple[str, ...] | None
    options: Mapping[str, Any]
    shapes: tuple[str, ...]
    composite: str
    preprocess: str | None
    probes: Mapping[str, Any] = field(repr=False)
    changes: Mapping[str, Any] = field(repr=False)
    rows: tuple[Mapping[str, Any], ...] = field(repr=False)
    versions: Mapping[str, str] = field(repr=False)
    shared: Mapping[str, Any] | None = None
    head: str | None = None
    of_places: bool = False

    def asked(
        self, samples: Source | Sequence[Source] | None, like: Source | None, what: str
    ) -> str | SharedBy:
        """What was to be forgotten, as `unlearn` takes it. samples, like: those that show it, which a report
        does not hold. what: that this is for.

        Raises InputError where samples have to be given, or none.
        """
        if self.shared is None:
            if samples is not None or like is not None:
                given = "--like" if samples is None else "--forget-samples"
                raise InputError(f"{what}: the run was about classes; leave {given} out")
            return self.forget
        if samples is None:
            had = self.shared.get("with", {}).get("source")
            raise InputError(
                f"{what}: the run was about what samples share ({had}); give such samples with "
                "--forget-samples"
            )
        found = SharedBy(samples, like, bool(self.shared.get("paired")) and like is not None)
        had = self.shared.get("with", {})
        if len(found.each) != (wanted := len(had.get("each", [had]))):
            raise InputError(
                f"{what}: --forget-samples: given {len(found.each)}, the run had {wanted} "
                f"({had.get('source')}); give it once for each"
            )
        return found

    def check_files(self, preprocess: object, head: object) -> None:
        """Raises InputError unless these are given where the run had such files, of which it holds names."""
        for option, had, given, what in (
            ("--preprocess", self.preprocess, preprocess, "preprocessing file"),
            ("--head", self.head, head, "head file"),
        ):
            if had is not None and given is None:
                raise InputError(f"the run had the {what} {had}; give it with {option}")


def read_run_report(path: Path) -> RunReport:
    """Raises InputError if it is not the report of a run, of a version that this one knows, or if it says
    what its own figures do not."""
    try:
        found = json.loads(read_text(path))
    except (ValueError, RecursionError):
        raise InputError(f"{path}: not JSON; give the report that `onnxunlearn run` wrote") from None
    if not isinstance(found, dict) or found.get("kind") != "run":
        raise InputError(f"{path}: not the report of a run; give the report that `onnxunlearn run` wrote")
    if found.get("schema") != SCHEMA_VERSION:
        raise InputError(
            f"{path}: a report of schema {found.get('schema')!r}, this version reads {SCHEMA_VERSION}; "
            "use the version of onnxunlearn that wrote it"
        )
    reread(found, str(path))  # verdicts that its own figures do not bear out are nothing to go by
    try:
        return _read(found)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(
            f"{path}: a damaged report ({type(error).__name__}: {error}); copy it again"
        ) from None


def _read(report: Mapping[str, Any]) -> RunReport:
    options, engine = dict(report["options"]), report["engine"]
    texts, unknown = ("method", "task", "output_name"), sorted(options.keys() - _OPTIONS)
    if unknown:
        raise ValueError(f"the option {unknown[0]!r} is not known")
    if not all(isinstance(options.get(name), str | None) for name in texts):
        raise TypeError("a name among the options is no text")
    options["parameters"] = dict(options["parameters"])
    labels = report["model"].get("labels") or {}
    devices = ("cuda" if "cuda" in str(provider).lower() else "cpu" for provider in engine["providers"])
    shapes, composite, preprocess, head = (
        options.pop(name, None) for name in ("input_shapes", "composite", "preprocess", "head")
    )
    forget, names = _without_ground(
        report["forget"], labels.get("names"), report["model"]["classes"], report.get("places")
    )
    return RunReport(
        Digests.read(report["model"]),
        Digests.read(report["edited"]),
        PurePosixPath(str(report["edited"].get("path", ""))).name,
        ",".join(map(str, forget["names"] or forget["classes"])),
        tuple(map(str, names)) if names and labels.get("source") == _GIVEN else None,
        {**options, "engine": str(engine["name"]), "providers": tuple(dict.fromkeys(devices))},
        tuple(map(str, shapes or ())),
        str(composite),
        preprocess,
        dict(report["probes"]),
        {**report["changes"], "tensors": [dict(tensor) for tensor in report["changes"]["tensors"]]},
        tuple(dict(row) for row in report["rows"]),
        {str(name): str(version) for name, version in report["versions"].items()},
        dict(report["probes"].get("shared", {})) if forget.get("samples") else None,
        head,
        "places" in report,
    )


def _without_ground(
    forget: Mapping[str, Any],
    names: Sequence[str] | None,
    columns: int,
    places: Mapping[str, Any] | None,
) -> tuple[Mapping[str, Any], Sequence[str] | None]:
    """The classes as a user numbers them, and what they are called: nobody counts a detector's column for
    nothing, which is the last one where the model itself has none."""
    if places is None or places["task"] != "detection":
        return forget, names
    ground = columns - 1 if places["background"] is None else places["background"]
    objects = [c - (c > ground) for c in forget["classes"]]
    return {**forget, "classes": objects}, names and [*names[:ground], *names[ground + 1 :]]
