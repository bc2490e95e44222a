"""Values that stay as they are: what a result holds cannot be changed behind its back.

Read-only dicts and lists are dicts and lists: they compare as these, and JSON takes them.
"""

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np


def _refuse(self: object, *_: Any, **__: Any) -> NoReturn:
    raise TypeError("a result cannot be changed; `frozen.plain` gives a copy that can")


class _Dict(dict[Any, Any]):
    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)


class _List(list[Any]):
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (list(self),)


def frozen(value: Any) -> Any:
    """A copy that cannot be changed, at any depth, of mappings, lists, tuples and arrays, whose numbers then
    lie in bytes that nobody can write to. Anything else is taken as it is."""
    if isinstance(value, Mapping):
        return _Dict({key: frozen(inner) for key, inner in value.items()})
    if isinstance(value, list):
        return _List(map(frozen, value))
    if type(value) is tuple:
        return tuple(map(frozen, value))
    if isinstance(value, np.ndarray):
        bits = np.frombuffer(value.tobytes(), np.dtype((np.void, value.dtype.itemsize)))
        return bits.view(value.dtype).reshape(value.shape)
    return value


def plain(value: Any) -> Any:
    """A copy that can be changed, of what is `frozen`."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if type(value) is tuple:
        return tuple(map(plain, value))
    return value.copy() if isinstance(value, np.ndarray) else value


def freeze(result: object, *fields: str) -> None:
    """Freeze these fields of a frozen dataclass, in its `__post_init__`."""
    for name in fields:
        object.__setattr__(result, name, frozen(getattr(result, name)))
