"""Arrays that a user gave, checked against the model and made into probes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from onnxunlearn.errors import InputError
from onnxunlearn.probes.inputs import Input, as_array
from onnxunlearn.probes.labels import Labels
from onnxunlearn.probes.probes import Probes
from onnxunlearn.probes.unread import Unread, each

#: so many names of classes stand in a message
_NAMED = 6


def named_probes(
    arrays: Mapping[str, Any], inputs: Sequence[Input], labels: Labels | None, source: str
) -> Probes:
    """Probes from arrays by name: each input's, or `x` for the only input, and optionally `y`.

    What the model itself calls `x` or `y` is that input. labels: None: nobody looks at y. Raises InputError
    as `checked_probes` does.
    """
    names = [i.name for i in inputs]
    feeds = dict(arrays)
    y = None if "y" in names else feeds.pop("y", None)
    if len(names) == 1 and "x" in feeds and names[0] not in feeds:
        feeds[names[0]] = feeds.pop("x")
    return checked_probes(feeds, None if labels is None else y, inputs, labels, source)


def single_probes(array: Any, inputs: Sequence[Input], labels: Labels | None, source: str) -> Probes:
    """Probes from one bare array, for a model with one input. Raises InputError as `checked_probes` does."""
    only = only_input(inputs, f"{source}: one array", "give an .npz or a mapping with one array per input")
    return checked_probes({only.name: array}, None, inputs, labels, source)


def only_input(inputs: Sequence[Input], given: str, todo: str) -> Input:
    """The model's one input. Raises InputError (what was `given`, and what `todo`) if there are more."""
    if len(inputs) != 1:
        raise InputError(
            f"{given}, but the model has inputs {', '.join(repr(i.name) for i in inputs)}; {todo}"
        )
    return inputs[0]


def checked_probes(
    feeds: Mapping[str, Any], y: Any, inputs: Sequence[Input], labels: Labels | None, source: str
) -> Probes:
    """Probes from one array per input and the samples' classes, if known.

    y: [N] names, or integers (integral floats will do) as `labels` has them, or one-hot [N, classes], or
    several ones (or none) in a row, which become the probes' `labels`, or None.
    Raises InputError, its message starting with `source`, for whatever does not fit the model.
    """
    _check_names(feeds, [i.name for i in inputs], source)
    fitting = {i.name: i.fit(feeds[i.name], source) for i in inputs}
    first, *others = fitting
    count = len(fitting[first])
    for name in others:
        if len(fitting[name]) != count:
            raise InputError(
                f"{source}: input {name!r} has {len(fitting[name])} samples, {first!r} has {count}; "
                "give every input the same number"
            )
    if y is None or labels is None:
        return Probes(fitting, None, source)
    found = _class_indices(y, count, labels, source)
    return Probes(fitting, found, source) if found.ndim == 1 else Probes(fitting, None, source, found)


def joined(parts: Iterable[Probes], source: str) -> Probes:
    """All samples of checked batches, in order. Raises InputError if there are none or they do not match."""
    batches = list(parts)
    if not batches:
        raise InputError(f"{source}: gave no batches; give at least one")
    for batch in batches:
        if batch.labelled != batches[0].labelled:
            raise InputError(f"{source}: some batches have 'y', others have not; give it in all or in none")
    feeds = {}
    for name in batches[0].feeds:
        arrays = [b.feeds[name] for b in batches]
        first, *others = dict.fromkeys(a.shape[1:] for a in arrays)
        if others:
            raise InputError(
                f"{source}: input {name!r} has samples of different shapes ({first} and {others[0]}); "
                "give all samples one shape"
            )
        feeds[name] = np.concatenate(arrays)
    ys = [b.y for b in batches if b.y is not None]
    wide = next((b.labels.shape[1] for b in batches if b.labels is not None), None)
    if wide is None:
        return Probes(feeds, np.concatenate(ys) if ys else None, source)
    rows = [np.eye(wide, dtype=bool)[b.y] if b.y is not None else b.labels for b in batches]
    return Probes(feeds, None, source, np.concatenate([r for r in rows if r is not None]))


def _check_names(feeds: Mapping[str, Any], names: Sequence[str], source: str) -> None:
    expected = " and ".join(repr(n) for n in names) + (
        " (or 'x')" if len(names) == 1 and names[0] != "x" else ""
    )
    for name in names:
        if name not in feeds:
            has = ", ".join(repr(n) for n in feeds) or "no arrays"
            raise InputError(
                f"{source}: no array for input {name!r}, it has {has}; name the arrays {expected}"
            )
    for name in feeds:
        if name not in names:
            raise InputError(
                f"{source}: {name!r} is not an input of the model; give {expected}, and optionally 'y', only"
            )


def _class_indices(value: Any, count: int, labels: Labels, source: str) -> np.ndarray:
    if isinstance(value, Unread):
        value = each(_narrow, cast(np.ndarray, value))
    y = as_array(value, f"{source}: y")
    if y.dtype.kind in "SO" and y.size and all(isinstance(v, str | bytes) for v in y.flat):
        y = np.array([v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in y.flat])
    if y.dtype.kind not in "biuf" and not (y.dtype.kind == "U" and labels):
        todo = "convert it, or give the names (--labels FILE)" if y.dtype.kind == "U" else "convert it"
        raise InputError(f"{source}: y has dtype {y.dtype}, expected {_expected(labels)}; {todo}")
    classes = labels.classes
    if y.shape not in ((count,), (count, classes)):
        raise InputError(
            f"{source}: y has shape {y.shape} for {count} samples, expected ({count},) "
            f"or one-hot ({count}, {classes}); give one class per sample"
        )
    if y.ndim == 2:
        return _from_rows(y, source)
    columns = labels.columns(y)
    if (columns < 0).any():
        sample = int(np.argmin(columns))
        found = y[sample].item()
        if isinstance(found, str):
            names = ", ".join(map(repr, labels.names[:_NAMED])) + (", …" if len(labels) > _NAMED else "")
            expected, todo = f"a name from {labels.source} ({names})", labels.hint(found)
        else:
            expected, todo = _expected(labels), other_start(y, labels, "y") or "correct y"
        raise InputError(f"{source}: y is {found!r} in sample {sample}, expected {expected}; {todo}")
    return columns


def other_start(y: np.ndarray, labels: Labels, what: str) -> str:
    """What to do where y counts the classes from one more or less than the model; empty if it doesn't.
    what: is to be changed then."""
    first = min(labels.numbers or (0,))
    for step in (-1, 1):
        if y.min() >= 0 and (labels.columns(y.astype(np.float64) + step) >= 0).all():
            todo = f"add 1 to {what}" if step > 0 else f"subtract 1 from {what}"
            return f"it seems to start at {first - step}, where the model starts at {first}; {todo}"
    return ""


def _narrow(y: np.ndarray) -> np.ndarray:
    """Rows that should hold ones and zeros in a byte each, anything else as a 2; labels as they are."""
    return np.where(np.isin(y, (0, 1)), y, 2).astype(np.int8) if y.ndim == 2 else y


def _expected(labels: Labels) -> str:
    """What a y may hold."""
    if labels.numbers:
        return labels.expected
    return f"integers 0..{labels.classes - 1}, one for each of the model's classes"


def _from_rows(y: np.ndarray, source: str) -> np.ndarray:
    """int64 [N] if every row is one-hot, else bool [N, classes]."""
    fits = ((y == 0) | (y == 1)).all(axis=1)
    if not fits.all():
        raise not_one_hot(int(np.argmin(fits)), source)
    if (y.sum(axis=1) == 1).all():
        return np.asarray(y.argmax(axis=1), dtype=np.int64)
    return np.asarray(y, dtype=bool)


def not_one_hot(sample: int, source: str) -> InputError:
    return InputError(
        f"{source}: y is not one-hot in sample {sample}; give a single 1 a row, or class indices"
    )
