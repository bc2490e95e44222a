"""The one registry idiom: `@rule("epsilon")`, `@adjoint("Conv")`, `@method("lra-npp")`."""

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

from onnxunlearn.errors import InputError

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """Names -> entries of one kind. Calling it with names gives the decorator that registers under them."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

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
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def choose(self, name: str) -> T:
        """The entry a user asked for. Raises InputError that lists what there is."""
        if name not in self._entries:
            raise InputError(f"unknown {self.kind} {name!r}; known: {', '.join(sorted(self._entries))}")
        return self._entries[name]
