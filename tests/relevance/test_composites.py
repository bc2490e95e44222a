"""Composites: parsing what users type, and which rule goes where."""

import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.relevance import composite, parse_composite, rule


@pytest.mark.parametrize("name", [*composite, *rule])
def test_every_name_parses(name: str) -> None:
    assert parse_composite(name).choose(["linear", "conv", "dense", "any"]).name in rule


def test_rules_by_kind() -> None:
    plus = parse_composite("epsilon_plus")
    assert plus.choose(["conv", "Conv", "any", "linear"]).name == "zplus"
    assert plus.choose(["dense", "Gemm", "any", "linear"]).name == "epsilon"
    assert plus.choose(["sum", "Add", "any"]).name == "norm"
    assert plus.choose(["activation", "Relu", "any"]).name == "pass"
    assert plus.choose(["route", "MaxPool", "any"]).name == "gradient"


def test_the_first_layer_has_a_rule_of_its_own() -> None:
    box = parse_composite("epsilon_gamma_box(low=0, high=1)")
    first = box.choose(["conv", "linear", "first linear", "first conv", "any"])
    assert (first.name, first.parameters) == ("zbox", {"low": 0, "high": 1})
    assert box.choose(["conv", "linear", "any"]).name == "gamma"


def test_parameters_reach_the_rule() -> None:
    assert parse_composite(" gamma ( gamma = 0.1 ) ").choose(["linear"]).parameters == {"gamma": 0.1}
    assert parse_composite("lra-npp").choose(["linear"]).parameters == {"epsilon": 0.1}


def test_gradient_is_for_all_nodes_and_merges_nothing() -> None:
    gradient = parse_composite("gradient")
    assert not gradient.merge
    assert gradient.choose(["activation", "any"]).name == "gradient"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("nonsense", "nonsense"),
        ("gamma(gama=1)", "gama"),
        ("gamma(gamma)", "gamma"),
        ("gamma(gamma=x)", "gamma=x"),
        ("gamma(gamma='a')", "must be a number"),
        ("gamma(", "form"),
        ("", "form"),
    ],
)
def test_errors_repeat_what_was_typed(text: str, named: str) -> None:
    with pytest.raises(InputError, match=named):
        parse_composite(text)
