"""The networks that covered.py exports, by family; each has random weights and is tiny."""

from importlib import import_module

from zoo.architecture import BATCH, Architecture

__all__ = ["BATCH", "FAMILIES", "Architecture", "family"]

_OWN = ("plain", "residual", "mobile", "activations", "sequences", "mixers", "operators", "foreign")
#: names of the modules in this folder; the last three need the transformers library
FAMILIES = (*_OWN, "vision", "text", "runtime")


def family(name: str) -> list[Architecture]:
    """The architectures of a family. Raises ModuleNotFoundError where its library is not installed."""
    found: list[Architecture] = import_module(f"zoo.{name}").ARCHITECTURES
    return found
