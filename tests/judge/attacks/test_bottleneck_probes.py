"""What the next layer reads, unpooled, against what the mean over places shows."""

import numpy as np
import pytest

from onnxunlearn.graph import load
from onnxunlearn.judge.attacks.attackers.classifier import classifier
from onnxunlearn.judge.attacks.bottleneck_probes import bottleneck_probes, reading_places
from onnxunlearn.judge.attacks.layer_probes import layer_probes
from onnxunlearn.probes import Probes

from ...sample_paths import CNN, RESNET, images
from ..made_evidence import Asked, evidence_of

X, Y = images("mnist_test")
FLAT = "bottleneck /6/Flatten_output_0"
SOME = Probes({"x": X[::4]}, Y[::4], "digits")


def asked(thorough: bool = True) -> Asked:
    model, reference = load(CNN), load(CNN.with_name("mnist_cnn.without3.onnx"))
    models = {"original": model, "edited": model, "reference": reference}
    return evidence_of(models, SOME, (3,), thorough=thorough)


def test_places_are_what_layers_read_and_all_passes_through() -> None:
    found = reading_places(asked().subjects["original"])
    assert [layer.name for layer in found.values()] == ["/3/Conv", "/7/Gemm", "/9/Gemm"]
    assert list(found)[1] == "/6/Flatten_output_0"
    resnet = evidence_of({"original": load(RESNET), "edited": load(RESNET)}, SOME, (3,))
    assert (
        len(reading_places(resnet.subjects["original"])) == 4
    )  # three blocks and the head; inside a block the shortcut passes by


def test_what_a_mean_hides_is_found_and_held_against_the_reference() -> None:
    rows = {row.name: row.values for row in bottleneck_probes(asked())}
    flat = rows[FLAT]
    pooled = {row.name: row.values for row in layer_probes(asked())}["layer /3/Conv"]
    assert (flat["reference"].value or 0) > (pooled["reference"].value or 0) + 10
    below = rows[f"{FLAT}-below"]["reference"].value
    assert below == pytest.approx((flat["reference"].value or 0) - (flat["edited"].value or 0))
    assert flat["original"] == flat["edited"]
    assert list(bottleneck_probes(asked(thorough=False))) == []  # it takes long


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a sample no more numbers are held than fit, and the class is found in their sums."""
    (whole,) = (row.values["original"].value for row in bottleneck_probes(asked()) if row.name == FLAT)
    monkeypatch.setattr("onnxunlearn.judge.attacks.bottleneck_probes._HELD", 1 << 17)
    monkeypatch.setattr("onnxunlearn.judge.attacks.bottleneck_probes.relearn", _checked(300))
    (few,) = (row.values["original"].value for row in bottleneck_probes(asked()) if row.name == FLAT)
    assert abs((few or 0) - (whole or 0)) < 12


def _checked(most: int):  # type: ignore[no-untyped-def]
    from onnxunlearn.judge import relearn

    def checked(features: np.ndarray, *args, **settings):  # type: ignore[no-untyped-def]
        assert features.shape[1] <= most
        return relearn(features, *args, **settings)

    return checked


def test_more_features_than_samples_are_fitted_in_their_span() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 90)), np.repeat(np.arange(4), 10)
    x += 0.5 * rng.standard_normal((4, 90))[y]
    plain = LogisticRegression(C=1.0, max_iter=1000, tol=1e-8).fit(x, y)
    ours = classifier(x, y, C=1.0, max_iter=1000, tol=1e-8)
    np.testing.assert_allclose(ours.coef_, plain.coef_, atol=1e-4)
    unseen = rng.standard_normal((50, 90))
    np.testing.assert_allclose(ours.predict_proba(unseen), plain.predict_proba(unseen), atol=1e-4)
    np.testing.assert_array_equal(ours.predict(unseen), plain.predict(unseen))
