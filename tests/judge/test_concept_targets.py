import numpy as np

from onnxunlearn.judge import judge

from ..shared_samples import made
from .made_shared import shared_evidence

Y = [0] * 200 + [1] * 200
PROBES = made(Y + Y, [0] * 400 + [1] * 400)


def test_a_trigger_is_judged_by_its_success() -> None:
    clean = np.array(Y)
    said = {
        name: np.concatenate([clean, with_it])
        for name, with_it in (("original", np.zeros(400, int)), ("edited", clean), ("mask", clean))
    }
    found = judge(shared_evidence(PROBES, said, 2), 0.5, "given")
    assert found.target("attack success").status == "passed"
    assert found.target("the class it points to (0) lost").met
    assert found.target("worst-group accuracy lost").met
    assert found.target("relearned attack success").status == "unknown"
    assert found.met
    assert found.shared is not None
    assert found.shared["points_to"] == 0
    assert found.to_json()["forget"]["classes"] == []
    said["edited"] = said["original"]
    assert judge(shared_evidence(PROBES, said, 2), 0.5, "given").target("attack success").status == "missed"


def test_what_points_nowhere_is_judged_by_a_probe() -> None:
    said = {name: np.array(Y + Y) for name in ("original", "edited", "mask")}
    noise = np.random.default_rng(0).normal(size=(800, 4))
    seen = noise + 4 * np.repeat([0, 1], 400)[:, None]
    for features, status in ((noise, "passed"), (seen, "missed")):
        inner = {"original": seen, "edited": features, "mask": seen}
        found = judge(shared_evidence(PROBES, said, 2, inner), 0.5, "given")
        target = found.target("told by a linear probe")
        assert target.limit == 55
        assert target.status in (status, "undecided")
        assert target.met == (status == "passed")
