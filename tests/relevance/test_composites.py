"""Composites: parsing what users type, and which rule goes where."""

from pathlib import Path

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
        ("gamma(bias=no)", "'bias=no' .* parameter=True/False"),
        ("gamma(gamma='a')", "must be a number"),
        ("epsilon_plus(eps=1)", "no parameter 'eps'; known: epsilon"),
        ("epsilon_plus(epsilon='a')", "epsilon must be a number or True/False, not 'a'"),
        ("attnlrp(epsilon=[1])", "epsilon must be a number"),
        ("epsilon(epsilon=1e400)", r"epsilon must be a number up to 3.4e\+38, not inf"),
        ("epsilon_plus(epsilon=1e39)", "not 1e\\+39"),
        ("gamma(", "form"),
        ("", "form"),
    ],
)
def test_errors_repeat_what_was_typed(text: str, named: str) -> None:
    with pytest.raises(InputError, match=named):
        parse_composite(text)


YAML = """
- first conv: zbox(low=-1, high=1)
- name /layer4/*: gamma(gamma=0.1)
- depth 0-3: zplus
- product MatMul: norm
- dense: epsilon
"""


def test_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(YAML)
    mine = parse_composite(str(path))
    conv = ["conv Conv", "conv", "Conv", "any", "linear"]
    assert str(mine.choose([*conv, "first conv"], "/stem", 0)) == "zbox(low=-1, high=1)"
    assert str(mine.choose(conv, "/layer4/conv1", 2)) == "gamma(gamma=0.1)"
    assert str(mine.choose(conv, "/layer1/conv1", 3)) == "zplus"
    assert str(mine.choose(conv, "/layer1/conv1", 4)) == "epsilon"
    assert str(mine.choose(["product MatMul", "product", "MatMul", "any"], "", None)) == "norm"
    assert str(mine.choose(["activation Relu", "activation", "Relu", "any"])) == "pass"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("conv: zplus", "expected a list"),
        ("- conv: zplus\n  dense: epsilon", "expected a list"),
        ("- convv: zplus", "unknown match 'convv'"),
        ("- depth x: zplus", "unknown match"),
        ("- conv: zpluss", "unknown rule 'zpluss'"),
        ("- conv: gamma(gama=1)", "gama"),
        ("- [", "not YAML"),
        ("- conv: epsilon(epsilon=-1e400)", "not -inf"),
        ("- conv: epsilon(epsilon=-1)", "epsilon must be 0 or more, not -1"),
        ("- conv: alpha2beta1(alpha=0.5)", "alpha must be 1 or more, not 0.5"),
        ("- conv: zplus(bias=5)", "bias must be True or False, not 5"),
        ("[" * 1500 + "]" * 1500, "nested too deep"),
        ("- dense: {a: b}", "what is given for 'dense' is a dict; expected a rule's name"),
        (
            f"- dense: [&a0 [x, x], {', '.join(f'&a{i} [*a{i - 1}, *a{i - 1}]' for i in range(1, 40))}]",
            "what is given for 'dense' is a list",  # which would be a terabyte as text
        ),
    ],
)
def test_a_wrong_file_is_named(text: str, named: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=named) as error:
        parse_composite(str(path))
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml"):
        parse_composite("nowhere.yaml")


def test_a_glob_passes_over_what_its_rule_is_not_for(tmp_path: Path) -> None:
    """A block's name is all its nodes'; a node that is named in full must fit."""
    path = tmp_path / "mine.yaml"
    path.write_text("- name /block/*: gamma(gamma=0.1)\n- name /block/add: zplus\n")
    mine = parse_composite(str(path))

    def for_weights(name: str) -> bool:
        return name == "norm"  # the node is a sum

    assert mine.choose(["conv", "linear"], "/block/conv").name == "gamma"
    assert mine.choose(["sum"], "/block/other", fits=for_weights).name == "norm"
    assert mine.choose(["sum"], "/block/add", fits=for_weights).name == "zplus"
