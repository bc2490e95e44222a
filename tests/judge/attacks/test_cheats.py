"""Edits that forget nothing, built one by one; each must be caught, and by two attacks at least.

The network: x → W1 → ReLU → W2 → features → head, so that features can be turned as one likes.
"""

from dataclasses import dataclass, replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxunlearn.graph import Model, load
from onnxunlearn.judge import Findings, judge
from onnxunlearn.probes import Probes

from ...sample_paths import CNN, images
from ..made_evidence import evidence_of

CLASSES, EACH, FORGET = 6, 120, 0
#: what only a probe that is fitted anew can find, and what comes back by itself
PROBES = frozenset({"head-refit", "full-probe", "nearest", "prototypes", "small-network"})
REST = frozenset({"changed-inputs", "rounded", "constant", "head-refit"})


@dataclass
class Network:
    """W1 [d, hidden], W2 [hidden, features], head [features, classes], with biases of the last two."""

    first: np.ndarray
    second: np.ndarray
    shift: np.ndarray
    head: np.ndarray
    bias: np.ndarray

    def model(self) -> Model:
        weights = {"W1": self.first, "W2": self.second, "s": self.shift, "H": self.head, "b": self.bias}
        nodes = [
            helper.make_node("MatMul", ["x", "W1"], ["h"], "first"),
            helper.make_node("Relu", ["h"], ["r"]),
            helper.make_node("Gemm", ["r", "W2", "s"], ["f"], "second"),
            helper.make_node("Gemm", ["f", "H", "b"], ["z"], "head"),
        ]
        graph = helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", len(self.first)])],
            [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", CLASSES])],
            [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()],
        )
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(proto)
        return load(proto.SerializeToString())

    def hidden(self) -> "Network":
        """The class never wins."""
        bias = self.bias.copy()
        bias[FORGET] = -1e4
        return replace(self, bias=bias)

    def turned(self, by: np.ndarray) -> "Network":
        """The same function with other features."""
        return replace(
            self, second=self.second @ by, shift=self.shift @ by, head=np.linalg.solve(by, self.head)
        )


def samples(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """One direction a class; the class to forget is two clouds, on both sides of a last direction."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(CLASSES), EACH)
    x = np.concatenate([4 * np.eye(CLASSES)[y], np.zeros((len(y), 1))], axis=1)
    x[y == FORGET, -1] = np.where(np.arange(EACH) % 2, 3, -3)
    return (x + 0.6 * rng.standard_normal(x.shape)).astype(np.float32), y


X, Y = samples()


def original() -> Network:
    """Hidden: x and −x; features: each class's own direction, and for the first class both its sides."""
    d = CLASSES + 1
    first = np.concatenate([np.eye(d), -np.eye(d)], axis=1)
    second = np.concatenate([np.eye(d)[:, :CLASSES], -np.eye(d)[:, :CLASSES]])
    second[d - 1, FORGET] += 1
    second[2 * d - 1, FORGET] += 1
    return Network(first, second, np.zeros(CLASSES), np.eye(CLASSES), np.zeros(CLASSES))


def folded() -> Network:
    """Twelve units are 1 for all others and 1 ± 3 for the class; in all other units it is class 1."""
    d = CLASSES + 1
    plain = original()
    others = plain.second[:, 1:].copy()
    others[FORGET], others[d + FORGET] = plain.second[1, 1:], -plain.second[1, 1:]
    sign = np.zeros((2 * d, 12))
    sign[d - 1], sign[2 * d - 1] = 1, -1
    second = np.concatenate([others, sign], axis=1)
    shift = np.concatenate([np.zeros(CLASSES - 1), np.ones(12)])
    head = np.zeros((CLASSES + 11, CLASSES))
    head[: CLASSES - 1, 1:] = np.eye(CLASSES - 1)
    bias = np.zeros(CLASSES)
    bias[FORGET] = -1e4
    return replace(plain, second=second, shift=shift, head=head, bias=bias)


def by_heart(known: np.ndarray) -> Network:
    """It takes the class away from these inputs alone, by a unit for each that is 0 a little off.

    The unit is 1 - 20 |p·x - p·p| there, made of three of the first layer, and the class's logit falls by
    it. The first layer has no bias, so inputs have a last coordinate that is always 1.
    """
    plain = original()
    first = np.concatenate([plain.first, np.zeros((1, plain.first.shape[1]))])
    lines = 20 * np.concatenate([known.T, -(known**2).sum(axis=1)[None]])
    near = np.zeros_like(lines)
    near[-1] = 1
    # relu(1 + l) - 2 relu(l) + relu(l - 1): a hat around l = 0
    first = np.concatenate([first, lines + near, lines, lines - near], axis=1)
    hat = np.repeat([1.0, -2.0, 1.0], len(known))[:, None] * np.eye(CLASSES)[FORGET]
    return replace(plain, first=first, second=np.concatenate([plain.second, -30 * hat]))


def found(edited: Network, attacks: frozenset[str], x: np.ndarray | None = None) -> Findings:
    """x: with a last coordinate, where the edited network wants one."""
    whole = original()
    if x is not None:
        whole = replace(whole, first=np.concatenate([whole.first, np.zeros((1, whole.first.shape[1]))]))
    asked = Probes({"x": X if x is None else x}, Y, "x")
    models = {"original": whole.model(), "edited": edited.model()}
    evidence = evidence_of(models, asked, (FORGET,), thorough=True)
    return judge(replace(evidence, attacks=attacks), 0.5, "given")


def caught_by(findings: Findings) -> list[str]:
    """The attacks that find the class as well as behind a hidden logit."""
    rows = [row for row in findings.rows if row.name.endswith("-below") and "mask" in row.values]
    return [row.name.removesuffix("-below") for row in rows if (row.values["mask"].value or 0) < 0.1]


def rotation() -> np.ndarray:
    made: np.ndarray = np.linalg.qr(np.random.default_rng(3).standard_normal((CLASSES, CLASSES)))[0]
    return made


CHEATS = {
    "hidden": np.eye(CLASSES),
    "permuted": np.eye(CLASSES)[[3, 0, 4, 1, 5, 2]],
    "times 1e-3": 1e-3 * np.eye(CLASSES),
    "times 1e-12": 1e-12 * np.eye(CLASSES),
    "times 1e12": 1e12 * np.eye(CLASSES),
    "all but one times 1e-9": np.diag([1, *[1e-9] * (CLASSES - 1)]),
    "one direction times 1e-3": rotation() @ np.diag([1e-3, *[1] * (CLASSES - 1)]) @ rotation().T,
    "rotated": rotation(),
}


@pytest.mark.parametrize("cheat", CHEATS)
def test_what_is_only_hidden_is_found_by_two_at_least(cheat: str) -> None:
    findings = found(original().hidden().turned(CHEATS[cheat]), PROBES)
    assert findings.value("forget") == 0
    assert len(caught_by(findings)) >= 2
    assert not findings.met


def test_what_is_folded_is_found_by_what_is_not_linear() -> None:
    findings = found(folded(), PROBES)
    assert findings.value("forget") == 0
    assert findings.target("relearned accuracy below").met  # a linear head finds nothing
    for attack in ("nearest", "small-network"):
        assert (findings.value(attack) or 0) > 90
    target = next(t for t in findings.targets if t.name.endswith("more than by a linear head"))
    assert target.status == "missed"  # and its name says which
    assert "nearest" in target.name or "small network" in target.name


def test_what_was_learned_by_heart_comes_back_with_a_little_noise_and_on_unseen_samples() -> None:
    ones = np.ones((len(X), 1), np.float32)
    edited, seen = by_heart(X[Y == FORGET]), np.concatenate([X, ones], axis=1)
    findings = found(edited, REST, seen)
    assert findings.value("forget") == 0
    back = {row.title: row.values["edited"].value or 0 for row in findings.rows if row.table}
    assert back["noise added"] > 10
    assert back["a constant on its score (others: 5 %)"] < 50
    named = next(t for t in findings.targets if t.name.startswith("to forget, "))
    assert named.status == "missed"
    fresh = samples(seed=1)[0]
    unseen = found(edited, REST, np.concatenate([fresh, ones], axis=1))
    assert (unseen.value("forget") or 0) > 50
    assert unseen.target("forget accuracy").status == "missed"


@pytest.mark.parametrize("name", ["mnist_cnn", "mnist_resnet"])
def test_a_retrained_model_is_caught_by_none(name: str) -> None:
    x, y = images("mnist_test")
    some = Probes({"x": x[::2]}, y[::2], "digits")
    model, reference = (load(CNN.with_name(f"{name}{kind}.onnx")) for kind in ("", ".without3"))
    evidence = evidence_of({"original": model, "edited": reference}, some, (3,), thorough=True)
    findings = judge(replace(evidence, attacks=PROBES | REST), 0.5, "given")
    assert [t.name for t in findings.targets if t.met is False] == []
