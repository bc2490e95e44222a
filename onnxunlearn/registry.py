"""The one registry idiom: `@rule("epsilon")`, `@adjoint("Conv")`, `@method("lra-npp")`.

Other packages add entries of their own by an entry point: a package that declares

    [project.entry-points."onnxunlearn.methods"]
    forget-softly = "their_package.soft:forget_softly"

has its function in `onnxunlearn methods` and `run --method forget-softly` as soon as it is installed. Nothing
of such a package is imported before a name is asked for that is not ours, or all names are.
"""

import importlib
import logging
import pkgutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from onnxunlearn.errors import InputError, OnnxUnlearnError, one_line

T = TypeVar("T")


class PluginError(InputError):
    """What another package added does not work."""


class Registry(Mapping[str, T], Generic[T]):
    """Names -> entries of one kind. Calling it with names gives the decorator that registers under them.

    group: of the entry points by which other packages add to it; None: by none.
    """

    def __init__(self, kind: str, group: str | None = None) -> None:
        self.kind = kind
        self.group = group
        self._entries: dict[str, T] = {}
        self._plugged = group is None
        self._plugging = threading.RLock()
        self._makers: dict[str, str] = {}

    def __call__(self, *names: str) -> Callable[[T], T]:
        def register(entry: T) -> T:
            for name in names:
                if name in self._entries:
                    raise ValueError(f"{self.kind} {name!r} is registered twice")
                self._entries[name] = entry
            return entry

        return register

    def __getitem__(self, name: str) -> T:
        """The entry called `name`. Raises KeyError; see `choose` for names that a user typed."""
        if name not in self._entries:
            self._plug_in()
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        self._plug_in()
        return iter(self._entries)

    def __len__(self) -> int:
        self._plug_in()
        return len(self._entries)

    def choose(self, name: str) -> T:
        """The entry a user asked for. Raises InputError that lists what there is."""
        if name not in self:
            raise InputError(f"unknown {self.kind} {name!r}; known: {', '.join(sorted(self))}")
        return self[name]

    @contextmanager
    def answers_for(self, name: str) -> Iterator[None]:
        """Where another package made the entry, whatever goes wrong in this block raises PluginError, a line
        that names both."""
        try:
            yield
        except OnnxUnlearnError:
            raise
        except (Exception, SystemExit) as error:
            if name not in self._makers:
                raise
            raise PluginError(
                f"{self.kind} {name!r} of the package {self._makers[name]} does not work "
                f"({type(error).__name__}: {one_line(error, 200)}); correct or remove that package"
            ) from error

    def _plug_in(self) -> None:
        """Register what other packages offer, once. What cannot be imported, or takes a name that is in use,
        is said and left out: one broken package must not take the command away."""
        with self._plugging:  # another thread waits until all of it is there
            if self._plugged or self.group is None:
                return
            self._plugged = True
            for point in entry_points(group=self.group):
                made_by = point.dist.name if point.dist else point.value
                try:
                    entry = point.load()  # which may register itself, under this name or others
                    if not callable(entry):
                        raise TypeError(f"{point.value} is no function or class")
                    if self._entries.get(point.name, entry) is not entry:
                        raise ValueError(f"{self.kind} {point.name!r} is registered twice")
                    self._entries[point.name] = entry
                    self._makers[point.name] = made_by
                except (Exception, SystemExit) as error:
                    logging.getLogger(__name__).warning(
                        "%s %r of the package %s is left out: %s",
                        self.kind,
                        point.name,
                        made_by,
                        one_line(error) or type(error).__name__,
                    )


def import_all(package: str, path: Iterable[str]) -> None:
    """Import every module of a package (its `__name__` and `__path__`), in order: what they hold registers
    itself, and no list has to be kept."""
    for module in sorted(found.name for found in pkgutil.iter_modules(path)):
        importlib.import_module(f"{package}.{module}")
