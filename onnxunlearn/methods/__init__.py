"""One file a method, registered by name: a function of a workbench that returns edits.

To add one: write the file and register the function with `@method("name")`; it is found by itself. Its
docstring is what `onnxunlearn methods` shows (see `catalogue`); tests/methods/test_every_method.py tries it.

May import adam, arguments, choices, edits, engines, errors, graph, neurons, numerics, probes, registry,
relevance, reverse, streams and tasks.
"""

import inspect
from collections.abc import Mapping
from typing import Any

from onnxunlearn.arguments import check_kind
from onnxunlearn.choices import DEPTHS
from onnxunlearn.errors import InputError
from onnxunlearn.methods.erase.erase import check_depth
from onnxunlearn.methods.outcome import Outcome, method
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.registry import import_all
from onnxunlearn.tasks import EMBEDDING

__all__ = ["DEPTHS", "Outcome", "Workbench", "check_depth", "check_parameters", "method", "run_method"]

import_all(__name__, __path__)

#: methods that need no class to forget, but samples that show what is to be forgotten
OF_SAMPLES = ("auto", "erase", "leace", "project")
#: methods that take an identity out of an embedding
OF_IDENTITIES = ("auto", "leace", "project", "scatter")


def run_method(name: str, bench: Workbench, parameters: dict[str, Any]) -> Outcome:
    """Run the method called `name`. Raises InputError for an unknown method or parameter, and PluginError for
    one of another package that does not work."""
    check_parameters(name, parameters)
    embedding = bench.posed == EMBEDDING
    if embedding != (name in OF_IDENTITIES) and (embedding or name == "scatter"):
        why = f"knows no embeddings; an identity is forgotten by {', '.join(OF_IDENTITIES)}"
        raise InputError(f"method {name!r} {'is for embeddings' if name == 'scatter' else why}")
    if not (embedding or bench.forget or name in OF_SAMPLES):
        raise InputError(
            f"method {name!r} is about classes; what samples share is forgotten by {', '.join(OF_SAMPLES)}"
        )
    with method.answers_for(name):
        outcome = method.choose(name)(bench, **parameters)
        if not isinstance(outcome, Outcome):
            raise TypeError(f"it gave {type(outcome).__name__}, not an Outcome")
    return outcome


def check_parameters(name: str, parameters: Mapping[str, Any]) -> None:
    """Raises InputError if there is no method called `name`, or it has none of a parameter's name."""
    check_kind("parameters", parameters, Mapping, "a dict of the method's parameters")
    known = [p for p in inspect.signature(method.choose(name)).parameters if p != "bench"]
    for parameter in parameters:
        if parameter not in known:
            raise InputError(
                f"method {name!r} has no parameter {parameter!r}; known: {', '.join(known) or 'none'}; "
                "`onnxunlearn methods` lists those of every method"
            )
