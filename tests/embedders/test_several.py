"""Several identities in one request: each is forgotten, and what is said of all is said of each."""

import jsonschema
import numpy as np
import pytest

from onnxunlearn import SharedBy, examine, unlearn
from onnxunlearn.errors import InputError
from onnxunlearn.judge import schema
from onnxunlearn.render import paper
from onnxunlearn.unlearn import Result

from ..tiny_embedder import embedder, samples

FORGET = (2, 5)


def asked(seed: int, each: int = 24) -> SharedBy:
    x, y = samples(seed, each)
    own = np.isin(y, FORGET)
    return SharedBy([{"x": x[y == who]} for who in FORGET], {"x": x[~own], "y": y[~own]})


@pytest.fixture(scope="module")
def result() -> Result:
    return unlearn(embedder(), asked(0), method="scatter", parameters={"steps": 150})


def test_each_is_no_longer_verified_and_others_are(result: Result) -> None:
    found = examine(embedder(), result.edited.model(), asked(1, 60), reference=embedder())
    for name in ("1", "2"):
        assert (found.value(f"identity verified {name}", "original") or 0) > 80
        assert (found.value(f"identity verified {name}") or 100) < 20
        assert (found.value(f"identity enrolled before {name}") or 100) < 20
        assert found.value(f"identity enrolled prototype {name}") is not None
    together, alone = (
        [found.value(f"identity verified{name}", c) for c in ("original", "edited")] for name in ("", " 1")
    )
    assert together != alone
    others = [found.value("identity others", c) or 0 for c in ("original", "edited")]
    assert abs(others[0] - others[1]) < 2
    both = [found.value(f"identity verified {name}") or 0 for name in ("1", "2")]
    assert found.value("identity verified") == pytest.approx(np.mean(both))
    worst = found.target(f"verification rate of 2 identities: {1 + int(np.argmax(both))}, the worst")
    assert worst.reached.value == pytest.approx(max(both))
    jsonschema.validate(found.to_json() | {"kind": "audit"}, schema())


def test_they_do_not_come_to_be_one(result: Result) -> None:
    """Pairs of the one and the other are no nearer than others' pairs, before or after."""
    from onnxunlearn.embedders import Embedder
    from onnxunlearn.inquiry import Options

    shared = asked(1, 60)
    found = Embedder.of(result.edited.model(), shared, Options())
    assert found is not None
    probes = found.read(shared, None)[0]
    assert probes.y is not None
    e = found.original.embedded(probes)
    first, second = (e[probes.y == who] for who in (-1, -2))
    assert float((first @ second.T).mean()) < 0.4


def test_the_report_says_whose_they_are(result: Result) -> None:
    report = result.report
    jsonschema.validate(report, schema())
    assert len(report["forget"]["samples"]["with"]["each"]) == 2
    assert report["forget"]["samples"]["samples"] == {"with": 16, "without": 48}
    assert any(target["name"].startswith("2 identities taken for others: ") for target in report["targets"])
    page, card = (paper(kind, report).decode() for kind in ("html", "card"))
    for text in (page, card):
        assert "the identities in" in text
        assert "each identity to forget" in text.lower() or text is card


@pytest.mark.parametrize("method", ["auto", "project", "leace"])
def test_every_method_forgets_each(method: str) -> None:
    found = unlearn(embedder(), asked(0), method=method).findings
    for name in ("1", "2"):
        assert (found.value(f"identity verified {name}", "original") or 0) > 80
        assert (found.value(f"identity verified {name}") or 100) < 60


def test_one_in_a_list_is_one() -> None:
    alone = asked(0)
    one, listed = (SharedBy(given, alone.like) for given in (alone.each[0], [alone.each[0]]))
    assert (
        unlearn(embedder(), one, method="project").report["rows"]
        == unlearn(embedder(), listed, method="project").report["rows"]
    )


def test_those_among_the_others_are_left_out() -> None:
    x, y = samples(0, 12)
    shared = SharedBy([{"x": x[y == who]} for who in FORGET])
    notes = unlearn(embedder(), shared, {"x": x, "y": y}, method="project").findings.notes
    assert sum("is the identity to forget: 12 samples are left out" in note for note in notes) == 2


def test_bad_input_is_one_line() -> None:
    x, y = samples(0, 12)
    others = {"x": x[y > 5], "y": y[y > 5]}
    own = {"x": x[y == 2]}
    few = {"x": x[y == 1][:3]}
    for given, said in (([own, own], "give each identity's own"), ([own, few], "samples of the identity: 3")):
        with pytest.raises(InputError, match=said):
            unlearn(embedder(), SharedBy(given, others))
    with pytest.raises(InputError, match="an empty list"):
        SharedBy([], others)
