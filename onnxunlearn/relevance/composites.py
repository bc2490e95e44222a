"""Which rule where: an ordered list of (match, rule), the first match wins.

A match is a kind of node (`conv`, `dense`, `linear` for both, `affine`, `sum`, `average`, `activation`,
`route` …; see `LocalMap`), an op type such as `AveragePool`, both (`product MatMul`), `first conv`,
`first linear`, `name GLOB` (of the node), `depth A-B` (how many linear nodes come before a linear node), or
`any`.
"""

import inspect
import os
import re
from ast import literal_eval
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from onnxunlearn.arguments import check_kind
from onnxunlearn.errors import InputError
from onnxunlearn.registry import Registry
from onnxunlearn.relevance.rules import rule
from onnxunlearn.text import parse_yaml, read_text

#: what relevance graphs compute in holds no more
_LARGEST = float(np.finfo(np.float32).max)
#: what parameters of these names must at least be, whatever the rule
_LEAST = {"epsilon": 0, "gamma": 0, "alpha": 1}


@dataclass(frozen=True)
class RuleSpec:
    """A rule by name with its parameters, e.g. `RuleSpec("gamma", {"gamma": 0.1})`."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """As it is typed: `gamma(gamma=0.1)`."""
        given = ", ".join(f"{name}={value}" for name, value in self.parameters.items())
        return f"{self.name}({given})" if given else self.name


@dataclass(frozen=True)
class Composite:
    """merge: let a scale and shift behind a linear node be part of that node (BatchNormalization)."""

    name: str
    rules: tuple[tuple[str, RuleSpec], ...]
    merge: bool = True

    @property
    def needs_patterns(self) -> bool:
        return any(spec.name.startswith("pattern") for _, spec in self.rules)

    def choose(
        self,
        traits: Sequence[str],
        name: str = "",
        depth: int | None = None,
        fits: Callable[[str], bool] = lambda rule: True,
    ) -> RuleSpec:
        """The rule of a node that is described by `traits` (its kind, op, `first conv` …), its name and, for
        a linear node, its depth: how many linear nodes come before it.

        fits: whether a rule is for such nodes at all; a glob passes over nodes that its rule does not fit.
        """
        return next(
            spec
            for match, spec in self.rules
            if (match in traits or _matches(match, name, depth)) and (fits(spec.name) or not _is_glob(match))
        )


def _is_glob(match: str) -> bool:
    return match.startswith("name ") and any(c in match for c in "*?[")


def _matches(match: str, name: str, depth: int | None) -> bool:
    """Whether `name GLOB` or `depth A-B` holds."""
    kind, _, argument = match.partition(" ")
    if kind == "name":
        return fnmatchcase(name, argument)
    if kind == "depth" and depth is not None:
        low, _, high = argument.partition("-")
        return int(low) <= depth <= int(high or low)
    return False


#: what the networks' other nodes get in every composite
BASE: tuple[tuple[str, RuleSpec], ...] = (
    ("activation", RuleSpec("pass")),
    ("affine", RuleSpec("norm")),
    ("sum", RuleSpec("norm")),
    ("average", RuleSpec("norm")),
    ("route", RuleSpec("gradient")),
    ("product", RuleSpec("uniform")),
    ("quotient", RuleSpec("numerator")),
    ("softmax", RuleSpec("softmax")),
    ("normalisation", RuleSpec("normalisation")),
    ("lrn", RuleSpec("lrn")),
    ("attention", RuleSpec("attention")),
    ("recurrent", RuleSpec("signal_take_all")),
)

#: parameters -> the rules of the linear nodes. A rule's name is a composite, too: that rule on all of them.
Recipe = Callable[..., list[tuple[str, RuleSpec]]]
composite: Registry[Recipe] = Registry("composite", group="onnxunlearn.composites")


@composite("epsilon_plus")
def epsilon_plus(epsilon: float = 1e-6) -> list[tuple[str, RuleSpec]]:
    """z⁺ on convolutions, epsilon on dense layers: the field's default for images."""
    return [("conv", RuleSpec("zplus")), ("dense", RuleSpec("epsilon", {"epsilon": epsilon}))]


@composite("epsilon_plus_flat")
def epsilon_plus_flat(epsilon: float = 1e-6) -> list[tuple[str, RuleSpec]]:
    """epsilon_plus, with the first linear node spread evenly: smooth input heatmaps."""
    return [("first linear", RuleSpec("flat")), *epsilon_plus(epsilon)]


@composite("epsilon_alpha2_beta1")
def epsilon_alpha2_beta1(epsilon: float = 1e-6) -> list[tuple[str, RuleSpec]]:
    """α = 2, β = 1 on convolutions, epsilon on dense layers: shows what speaks against, too."""
    return [("conv", RuleSpec("alpha2beta1")), ("dense", RuleSpec("epsilon", {"epsilon": epsilon}))]


@composite("epsilon_alpha2_beta1_flat")
def epsilon_alpha2_beta1_flat(epsilon: float = 1e-6) -> list[tuple[str, RuleSpec]]:
    """epsilon_alpha2_beta1, with the first linear node spread evenly."""
    return [("first linear", RuleSpec("flat")), *epsilon_alpha2_beta1(epsilon)]


@composite("epsilon_gamma_box")
def epsilon_gamma_box(
    low: float = -3.0, high: float = 3.0, gamma: float = 0.25, epsilon: float = 1e-6
) -> list[tuple[str, RuleSpec]]:
    """zbox on the first convolution (inputs in [low, high]), gamma on the others, epsilon on dense layers."""
    return [
        ("first conv", RuleSpec("zbox", {"low": low, "high": high})),
        ("conv", RuleSpec("gamma", {"gamma": gamma})),
        ("dense", RuleSpec("epsilon", {"epsilon": epsilon})),
    ]


@composite("lra_npp")
def lra_npp(epsilon: float = 0.1) -> list[tuple[str, RuleSpec]]:
    """Epsilon with ε = 0.1 everywhere: the final configuration of LRA-NPP (Chang et al. 2024)."""
    return [("linear", RuleSpec("epsilon", {"epsilon": epsilon}))]


@composite("attnlrp")
def attnlrp(epsilon: float = 1e-6) -> list[tuple[str, RuleSpec]]:
    """AttnLRP (Achtibat et al. 2024): epsilon on linear layers, products halved, softmax by its Taylor
    share, normalisation with the std held constant. For transformers."""
    return [("linear", RuleSpec("epsilon", {"epsilon": epsilon}))]


@composite("cp_lrp")
def cp_lrp(epsilon: float = 1e-6) -> list[tuple[str, RuleSpec]]:
    """CP-LRP (Ali et al. 2022): like attnlrp, but attention weights count as constants: all relevance goes
    through the values."""
    return [
        ("softmax", RuleSpec("constant")),
        ("product MatMul", RuleSpec("norm")),
        ("attention", RuleSpec("attention", {"constant_weights": True})),
        ("linear", RuleSpec("epsilon", {"epsilon": epsilon})),
    ]


def parse_composite(text: str) -> Composite:
    """A composite, or a single rule for all linear nodes, from e.g. `epsilon_plus` or `gamma(gamma=0.1)`; or
    a composite from a YAML file or a pipe, see `read_composite`.

    Raises InputError that names what is unknown and what there is.
    """
    check_kind("composite", text, str, "a name, a rule or the path of a file")
    if (path := composite_file(text)) is not None:
        return read_composite(path)
    name, parameters = _call(text)
    if name in composite:
        recipe = composite[name]
        _check_parameters(text, recipe, parameters)
        return Composite(text, (*recipe(**parameters), *BASE))
    if name in rule:
        _check_parameters(text, rule[name], parameters)
        spec = RuleSpec(name, parameters)
        if name == "gradient":
            return Composite(text, (("any", spec),), merge=False)
        if name.startswith("pattern"):
            return Composite(text, (("linear", spec), ("any", RuleSpec("gradient"))))
        return Composite(text, (("linear", spec), *BASE))
    raise InputError(
        f"unknown composite {name!r}; known: {', '.join(composite)}; or a rule: {', '.join(rule)}"
    )


def composite_file(text: str) -> Path | None:
    """The file that a composite is to be read from; None for the name of a composite or rule, which is never
    written with a slash."""
    return Path(text) if text.endswith((".yaml", ".yml")) or os.sep in text else None


def read_composite(path: str | os.PathLike[str]) -> Composite:
    """A composite from a YAML file: a list of `match: rule` lines, tried in order, before what every
    composite has (`BASE`); linear nodes that nothing matches get epsilon.

        - first conv: zbox(low=-1, high=1)
        - name /layer4/*: gamma(gamma=0.1)
        - depth 0-3: zplus
        - dense: epsilon
    """
    lines = parse_yaml(read_text(path), path, "a list of `- match: rule` lines")
    if not isinstance(lines, list) or not all(isinstance(line, dict) and len(line) == 1 for line in lines):
        raise InputError(f"{path}: expected a list of `- match: rule` lines")
    rules = []
    for line in lines:
        ((match, text),) = line.items()
        if not isinstance(text, str | int | float):  # a list may stand for more text than there is memory
            kind = type(text).__name__
            raise InputError(f"{path}: what is given for {str(match)!r} is a {kind}; expected a rule's name")
        _check_match(str(match), path)
        name, parameters = _call(str(text))
        if name not in rule:
            raise InputError(f"{path}: unknown rule {name!r}; known: {', '.join(rule)}")
        _check_parameters(str(text), rule[name], parameters)
        rules.append((str(match), RuleSpec(name, parameters)))
    return Composite(Path(path).name, (*rules, *BASE, ("linear", RuleSpec("epsilon"))))


def _check_match(match: str, path: str | os.PathLike[str]) -> None:
    """Catch typing errors: a match that can never hold would be silently useless."""
    words = {"linear", "conv", "dense", "first conv", "first linear", "any", *(m for m, _ in BASE)}
    last = match.split()[-1] if match.split() else ""
    known = match in words or match.startswith("name ") or last[:1].isupper() or "::" in last
    if not known and not re.fullmatch(r"depth \d+(-\d+)?", match):
        raise InputError(
            f"{path}: unknown match {match!r}; expected an op, one of {', '.join(sorted(words))}, "
            "`name GLOB` or `depth A-B`"
        )


def _call(text: str) -> tuple[str, dict[str, Any]]:
    match = re.fullmatch(r"\s*([\w-]+)\s*(?:\((.*)\))?\s*", text)
    if match is None:
        raise InputError(f"composite {text!r} is not of the form NAME or NAME(parameter=number, ...)")
    parameters: dict[str, Any] = {}
    for part in filter(None, (p.strip() for p in (match[2] or "").split(","))):
        key, equals, value = part.partition("=")
        try:
            parameters[key.strip()] = literal_eval(value.strip() if equals else "")
        except (ValueError, SyntaxError):
            raise InputError(
                f"{part!r} in composite {text!r} is not of the form parameter=number or parameter=True/False"
            ) from None
    return match[1].replace("-", "_"), parameters


def _check_parameters(text: str, function: Callable[..., Any], parameters: Mapping[str, Any]) -> None:
    known = {
        p.name: p.default
        for p in inspect.signature(function).parameters.values()
        if p.default is not inspect.Parameter.empty
    }
    for name, value in parameters.items():
        if name not in known:
            raise InputError(f"{text!r}: no parameter {name!r}; known: {', '.join(known) or 'none'}")
        if isinstance(known[name], bool) and not isinstance(value, bool):
            raise InputError(f"{text!r}: {name} must be True or False, not {value!r}")
        if not isinstance(value, int | float):
            raise InputError(f"{text!r}: {name} must be a number or True/False, not {value!r}")
        if value < (least := _LEAST.get(name, value)):
            raise InputError(f"{text!r}: {name} must be {least} or more, not {value!r}")
        if not abs(value) <= _LARGEST:  # NaN is not, either
            raise InputError(f"{text!r}: {name} must be a number up to {_LARGEST:.1e}, not {value!r}")
