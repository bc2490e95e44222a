"""Which row of which layer makes which class's logit: what is said is what the model computes."""

import numpy as np
import pytest

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import class_rows, expose, find_heads, find_logits

from .ending.ways import Way, X, proto
from .models import assert_one_line, loaded, run
from .tails import CURVED, SINGLE, STRAIGHT, UNTOLD

TOLD = {**STRAIGHT, **SINGLE, **CURVED}


@pytest.mark.parametrize("name", TOLD)
def test_the_rows_make_the_logits(name: str) -> None:
    model = loaded(proto(TOLD[name]))
    logits = find_logits(model)
    rows = class_rows(model, logits)
    names = [*(layer.output for layer in rows.layers), logits.tensor]
    *outputs, z = run(expose(logits.within(model), names), {"x": X}, names)
    parts = zip(outputs, rows.index, rows.scale, strict=True)
    made = sum(output[:, index] * scale for output, index, scale in parts) + rows.shift
    assert made.shape == (len(X), logits.classes)
    assert rows.curved == (name in CURVED)
    if rows.curved:
        before, after = np.sort(made, axis=1), np.take_along_axis(z, made.argsort(axis=1), axis=1)
        assert (np.diff(before, axis=1) >= 0).all()
        assert (np.diff(after, axis=1) >= 0).all()  # the order of a sample's classes is the same
    else:
        np.testing.assert_allclose(made, z, atol=1e-4, rtol=1e-4)
    assert [layer.name for layer in find_heads(model, logits)] == [layer.name for layer in rows.layers]


@pytest.mark.parametrize("name", UNTOLD)
def test_what_cannot_be_told_is_refused(name: str) -> None:
    model = loaded(proto(UNTOLD[name]))
    with pytest.raises(UnsupportedError) as caught:
        class_rows(model, find_logits(model))
    assert_one_line(caught.value, "lies between the logits", "opset 17")


def said(text: str) -> str:
    model = loaded(proto(Way(text, None)))
    return class_rows(model, find_logits(model)).words()


def test_words() -> None:
    assert said("y = Identity(z)") == ""
    assert said("y = Gather <axis = 1> (z, order)") == "rows 3, 1, 4, 0, 5, 2"
    assert said("n = Neg(z); y = Gather <axis = 1> (n, some)") == "rows 5, 2, 0, negated"
    assert said("t = Div(z, two); y = Add(t, priors)") == "× 0.5, shifted"
    assert said("y = Mul(z, signs)") == "some negated"
    assert said("y = Mul(z, scales)") == "each times its own factor"
    assert said("y = Add(z, z2)") == "2 layers"
