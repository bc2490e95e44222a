"""What is asked, and how: what `unlearn` and `examine` both take."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict

from onnxunlearn.arguments import check_kind, check_names, check_number
from onnxunlearn.probes import Naming, Preprocessing, SharedBy, Source, file_of, in_order, read_settings
from onnxunlearn.probes.settings import Settings
from onnxunlearn.tasks import AUTO, task

#: what is to be forgotten: classes, or what samples share
Forget = int | str | Sequence[int] | SharedBy


class Shared(TypedDict, total=False):
    """The fields of `Options`, as keyword arguments."""

    engine: str
    providers: Sequence[str]
    task: str
    max_retain_drop: float
    output_name: str | None
    head: str | os.PathLike[str] | None
    labels: Naming | None
    preprocess: Preprocessing | None
    retain: Source | None
    batch_size: int
    seed: int
    as_they_are: bool
    progress: Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What `unlearn` and `examine` both take.

    task: a name of the registry `tasks.task`, or "auto". max_retain_drop: points of retain accuracy that may
    be lost. output_name: the output with the class scores, where several could be. head: a file that says
    where classes are said at places, see `graph.places.read_head`. labels: a name for each class, in
    order or by index, or a file of them, see `probes.read_labels`. preprocess: how images become inputs, a
    file or a mapping, see `probes.preprocess_file`. retain: more inputs, of whatever, on which the
    model is to stay as it is; see `unnamed`. as_they_are: take probes of which the original would know far
    more if they were prepared otherwise. progress: called with a line on what is being done.

    Raises InputError for a number out of its range.
    """

    engine: str = "onnxruntime"
    providers: Sequence[str] = ("cpu",)
    task: str = AUTO
    max_retain_drop: float = 0.5
    output_name: str | None = None
    head: str | os.PathLike[str] | None = None
    labels: Naming | None = None
    preprocess: Preprocessing | None = None
    retain: Source | None = field(default=None, repr=False)
    batch_size: int = 32
    seed: int = 0
    as_they_are: bool = False
    progress: Callable[[str], None] = field(default=lambda _: None, repr=False)

    def __post_init__(self) -> None:
        check_number("max_retain_drop", self.max_retain_drop, 0, 100, optional=False)
        check_number("batch_size", self.batch_size, 1, whole=True, optional=False)
        check_number("seed", self.seed, 0, whole=True, optional=False)
        for name in ("engine", "task"):
            check_kind(name, getattr(self, name), str, "a name")
        check_names("providers", self.providers)
        object.__setattr__(self, "labels", in_order(self.labels))
        if self.labels is not None:
            check_names("labels", self.labels)
        if self.preprocess is not None:
            kinds = (str, os.PathLike, Mapping, Settings)
            check_kind("preprocess", self.preprocess, kinds, "the path of a file, or a mapping")
        if self.head is not None:
            check_kind("head", self.head, (str, os.PathLike), "the path of a file")
        check_kind("as_they_are", self.as_they_are, bool, "True or False")
        check_kind("progress", self.progress, Callable, "a function that takes a line")  # type: ignore[arg-type]
        if self.task != AUTO:
            task.choose(self.task)  # before anything runs

    def to_json(self) -> dict[str, Any]:
        """What it takes to ask for the same again; the engine is reported as what really ran, the labels as
        the names of the forgotten classes."""
        elsewhere = ("engine", "providers", "labels", "retain", "progress")
        found = {name: value for name, value in vars(self).items() if name not in elsewhere}
        found["head"] = None if self.head is None else Path(self.head).name
        path = self.preprocess_path
        given = self.preprocess if path is None else path.name
        found["preprocess"] = given.path.name if isinstance(given, Settings) else given
        return found

    @property
    def names(self) -> Sequence[str] | None:
        """The labels, which are in the order of the columns by now, as their type cannot say."""
        return in_order(self.labels)

    @property
    def preprocess_path(self) -> Path | None:
        """The file that says how images become inputs."""
        return file_of(self.preprocess)

    def preparation(self, *sources: Source | None) -> Preprocessing | None:
        """How images of the first source become inputs; none if it is another alone that has images."""
        folders = [isinstance(s, str | os.PathLike) and os.path.isdir(s) for s in sources]
        return None if any(folders) and not folders[0] else self.preprocess

    def with_pipe_read(self) -> "Options":
        """The same with preprocessing that comes through a pipe in memory: a pipe can be read only once."""
        given = self.preprocess
        if isinstance(given, Mapping):
            return replace(self, preprocess=read_settings(given))
        if given is None or isinstance(given, Settings) or not os.path.exists(given) or os.path.isfile(given):
            return self
        return replace(self, preprocess=read_settings(given))
