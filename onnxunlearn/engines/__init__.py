"""Engines run ONNX graphs: the user's (instrumented) model and the relevance graphs we build.

No rule, method or metric knows which engine it is on. Adding one: a module with a class that has what
`Engine` asks for, and its line in `choices.ENGINES`; it is imported only when chosen, so that the package it
stands on stays optional.

May import choices, errors, graph and registry.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np
import onnx

from onnxunlearn.choices import ENGINES
from onnxunlearn.engines.sessions import Sessions
from onnxunlearn.engines.tensor import Tensor, Values
from onnxunlearn.errors import InputError


class Session(Protocol):
    """A graph ready to run."""

    def compute(self, feeds: Values, outputs: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Values of `outputs` (names of graph outputs; default: all of them), where the engine has them.

        `feeds` holds every graph input; a graph input that is also an initializer may be left out
        (its stored value holds) or fed (the fed value holds): that is how a trial edit is run. Arrays must
        not be changed before what was computed from them is read.
        """
        ...

    def run(self, feeds: Values, outputs: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """`compute`, with what it gives as arrays."""
        ...


class Engine(Protocol):
    """Something that runs ONNX graphs on some device."""

    name: str
    #: what really runs, as the runtime reports it, e.g. ("CPUExecutionProvider",)
    providers: tuple[str, ...]
    #: those that will be asked for again
    sessions: Sessions

    def session(self, model: onnx.ModelProto, folder: Path | None = None, *, once: bool = False) -> Session:
        """Prepare `model`. `folder` is where external data lies, None if there is none. once: it is run a few
        times at most, so it is to hold no memory between runs, whatever that costs in each.

        Raises UnsupportedError naming node, op and opset if the engine lacks an op.
        """
        ...

    def tensor(self, value: np.ndarray | Tensor) -> Tensor:
        """The value on the engine's device: what several sessions read goes there once. Not to be changed."""
        ...


PROVIDERS = ("cpu", "cuda")


def create_engine(name: str = "onnxruntime", providers: Sequence[str] = ("cpu",)) -> Engine:
    """The engine called `name`; `providers` are "cpu" and "cuda" in order of preference.

    Raises InputError if a name is unknown or the engine's package is not installed.
    """
    if name not in ENGINES:
        raise InputError(f"unknown engine {name!r}; known: {', '.join(ENGINES)}")
    if unknown := [provider for provider in providers if provider not in PROVIDERS]:
        raise InputError(f"unknown provider {unknown[0]!r}; known: {', '.join(PROVIDERS)}")
    module, cls = ENGINES[name]
    engine: Engine = getattr(import_module(module), cls)(tuple(providers))
    return engine
