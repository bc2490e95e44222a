"""The models of an audit beside the original: the edited one, and those retrained without the class."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from onnx.helper import tensor_dtype_to_np_dtype

from onnxunlearn import judge
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Logits, Model, ModelSource, Snapshot, load
from onnxunlearn.graph.input_types import declared_types, float_inputs, with_float_inputs
from onnxunlearn.probes import Probes
from onnxunlearn.tasks import independent

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Compared:
    """models: all but the original: "edited", "reference", "reference 2" … files: what all held, the
    original's first."""

    original: Model
    models: Mapping[str, Model]
    files: Mapping[str, Snapshot]

    @classmethod
    def of(
        cls,
        original: Model,
        files: Snapshot,
        edited: ModelSource,
        reference: ModelSource | Sequence[ModelSource] | None,
    ) -> "Compared":
        """Load them. files: what the original held. Raises InputError for what is no model."""
        retrained: Sequence[ModelSource] = () if reference is None else [reference]  # type: ignore[list-item]
        if isinstance(reference, list | tuple):
            retrained = reference
        models = {"edited": load(edited)}
        for i, source in enumerate(retrained, 1):
            models[f"reference {i}" if i > 1 else "reference"] = load(source)
        held = {name: Snapshot.of(model) for name, model in models.items()}
        return cls(original, models, {"original": files, **held})

    def alike(self) -> "Compared":
        """The same. Raises InputError unless all take the inputs that the original takes, as it does."""
        check_inputs({"original": self.original, **self.models})
        return self

    def cast(self) -> tuple[dict[str, Model], list[str]]:
        """The models as they take the original's probes, in another float type than theirs where they have
        one; and notes that say so."""
        found, notes = {}, []
        for name, model in self.models.items():
            types = float_inputs(model, self.original)
            found[name] = with_float_inputs(model, types)
            for own, given in sorted(set(types.values())):
                kinds = [str(tensor_dtype_to_np_dtype(kind)) for kind in (own, given)]
                notes.append(
                    f"{_called(name, model)} takes {kinds[0]} where the original takes {kinds[1]}: samples "
                    "are cast for it"
                )
        return found, notes

    @cached_property
    def departs(self) -> str:
        """In words, what the edited model has otherwise than the original, values of weights aside."""
        return "; ".join(judge.departures(self.original, self.models["edited"]))

    def doubts(self, probes: Probes) -> list[str]:
        """What is odd about the edited model, beside what it answers; warned of."""
        found, edited = [], self.models["edited"]
        if self.departs:
            line = f"the edited model is not the original with other weights: {self.departs}"
            found.append(f"{line}; of a file converted or quantised since give the original made likewise")
        found += [f"the edited model: {line}" for line in judge.remarks(self.original, edited)]
        if judge.chose(edited, probes.origin.get("sha256")):
            found.append(
                f"{probes.called}: these samples were given to the run that made the edit, and some of them "
                "chose it; judge with others"
            )
        found += self._twice()
        for line in found:
            log.warning("%s", line)
        return found

    def _twice(self) -> Iterator[str]:
        """References that are one model: their deviation says nothing."""
        retrained = [(n, f) for n, f in self.files.items() if n not in ("original", "edited")]
        for i, (name, files) in enumerate(retrained):
            for earlier, others in retrained[:i]:
                digests = [sorted(data.sha256 for data in one.data.values()) for one in (files, others)]
                if files.model.content == others.model.content and digests[0] == digests[1]:
                    yield f"the {name} is the same model as the {earlier}; give each once"
                    break


def check_inputs(models: Mapping[str, Model]) -> None:
    """Raises InputError unless all take the inputs that the original takes."""
    wanted = declared_types(models["original"])
    for name, model in models.items():
        found = declared_types(model)
        if found.keys() != wanted.keys():
            raise InputError(
                f"{_called(name, model)}: its inputs are {', '.join(sorted(found))}, the original's are "
                f"{', '.join(sorted(wanted))}; give models that take the same inputs"
            )
        for given, kind in found.items():
            if kind and wanted[given] and kind != wanted[given]:
                kinds = [tensor_dtype_to_np_dtype(k) for k in (kind, wanted[given])]
                raise InputError(
                    f"{_called(name, model)}: takes {given!r} as {kinds[0]}, the original as {kinds[1]}; "
                    "convert one of the models to the type of the other"
                )


def check_alike(models: Mapping[str, Model], logits: Mapping[str, Logits]) -> None:
    """Raises InputError unless all take the inputs, and know as many classes, as the original."""
    check_inputs(models)
    for name, model in models.items():
        where = _called(name, model)
        if logits[name].classes != logits["original"].classes:
            raise InputError(
                f"{where}: has {logits[name].classes} classes, the original {logits['original'].classes}; "
                "give models with the same classes (a reference keeps an output for the class it never saw)"
            )
        if len({independent(found) for found in (logits[name], logits["original"])}) > 1:
            raise InputError(
                f"{where}: its scores are behind {logits[name].normaliser}, the original's behind "
                f"{logits['original'].normaliser}; give models whose outputs mean the same"
            )


def _called(name: str, model: Model) -> str:
    return f"the {name} model" if model.path is None else str(model.path)
