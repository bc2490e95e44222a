"""Which of another model's layers are the counterparts of the original's: names are an exporter's affair."""

from collections.abc import Callable, Container, Iterable, Mapping

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Layer
from onnxunlearn.judge.subject import Subject

#: by name, in graph order, with the layer that it stands for
Places = Mapping[str, Layer]


def counterparts(
    subjects: Mapping[str, Subject],
    wanted: Iterable[str],
    places: Callable[[Subject], Places],
    names: Callable[[Subject], Container[str]] | None = None,
) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """By model, what it calls the places that are wanted; and of models that have none, why.

    subjects: "original", "edited", then references. wanted: names of places in the original. names: in which
    a place is looked for by name; default: places. By name where all are there, else by order, where there
    are as many, of layers of the same kinds and shapes. Else the edited model has those that are there by
    name, and a reference none; of what the edited model lacks nothing is asked.
    """
    called, missing = {"original": {name: name for name in wanted}}, {}
    for model in [model for model in subjects if model != "original"]:
        asked = called.get("edited", called["original"])
        there = (names or places)(subjects[model])
        found = {name: name for name in asked if name in there}
        if len(found) < len(asked):
            try:
                order = _by_order(places(subjects["original"]), places(subjects[model]))
                found = {name: order[name] for name in asked}
            except UnsupportedError as error:
                found = found if model == "edited" else {}
                if not found:
                    missing[model] = str(error)
        called[model] = found
    return called, missing


def not_compared(missing: Mapping[str, str]) -> str:
    """The note of rows in which models are missing. missing: why, by model."""
    return "; ".join(f"{model} not compared: {why}" for model, why in missing.items())


def _by_order(own: Places, theirs: Places) -> dict[str, str]:
    """Raises UnsupportedError, with what differs, unless the same stands at each place."""
    if len(own) != len(theirs):
        raise UnsupportedError(f"places of other names, and {len(theirs)} where the original has {len(own)}")
    for (name, ours), (other, its) in zip(own.items(), theirs.items(), strict=True):
        if _made(ours) != _made(its):
            raise UnsupportedError(f"{other!r} in the place of {name!r}: {_said(its)} for {_said(ours)}")
    return dict(zip(own, theirs, strict=True))


def _made(layer: Layer) -> tuple[str, tuple[int, ...]]:
    return layer.kind, tuple(layer.weight.shape)


def _said(layer: Layer) -> str:
    return f"{layer.kind} {' × '.join(map(str, layer.weight.shape))}"
