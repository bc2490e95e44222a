"""What enters the tail of a model, recorded once."""

from dataclasses import replace

import numpy as np
import pytest

from onnxunlearn.graph import expose, find_logits, load, pooled, unpooled
from onnxunlearn.graph.flow import shape_arithmetic
from onnxunlearn.graph.tail import tail_of
from onnxunlearn.methods.erase import boundary
from onnxunlearn.methods.erase.boundary import record_boundary
from onnxunlearn.methods.erase.scope import multiplications, scope
from onnxunlearn.probes import Probes

from ...odd_models import KINDS
from ...sample_paths import MLP, RESNET
from ..benches import bench


def test_probes_come_first_then_moved_copies_then_mixtures() -> None:
    made = bench(RESNET, (3, 5))
    tail = tail_of(made.model, scope(made, 1), ["logits"], shape_arithmetic(made.model))
    found = record_boundary(made, tail, made.recorded(tail.boundary).boundary, 3, np.random.default_rng(0))
    (name,) = tail.boundary
    forgotten, retained = int(made.forgotten.sum()), int((~made.forgotten).sum())
    assert [len(variant[name]) for variant in found.forget] == [forgotten] * 6
    assert len(found.retain) == 2 * 3 * retained
    pool = found.retain.take(np.arange(len(found.retain)))[name]
    assert found.copies == 3
    session = made.engine.session(expose(made.model, [name]))
    whole = session.run(made.probes.feeds)[name]
    np.testing.assert_allclose(found.forget[0][name], whole[made.forgotten], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(pool[:retained], whole[~made.forgotten], rtol=1e-4, atol=1e-4)
    assert not np.allclose(found.forget[1][name], found.forget[0][name], atol=1e-2)


def test_retained_token_sequences_are_spliced_those_to_forget_stay() -> None:
    proto, arrays = KINDS["tokens with a mask"]()
    model, y = load(proto.SerializeToString()), arrays.pop("y")
    made = replace(bench(), model=model, logits=find_logits(model), probes=Probes(arrays, y, "words"))
    tail = tail_of(model, made.editable, ["y"], shape_arithmetic(model))
    found = record_boundary(made, tail, made.recorded(tail.boundary).boundary, 3, np.random.default_rng(0))
    (name,) = tail.boundary
    retained = int((~made.forgotten).sum())
    assert (len(found.forget), found.copies) == (1, 3)
    given, first, second, *_ = np.split(found.retain.take(np.arange(6 * retained))[name], 6)
    assert len(given) == retained
    changed = [(a != b).any(axis=1).mean() for a, b in ((first, given), (second, given), (second, first))]
    assert min(changed) > 0.8


def test_a_mixture_lies_between_two_samples() -> None:
    made = bench(MLP)
    tail = tail_of(made.model, scope(made, 1), ["logits"], shape_arithmetic(made.model))
    (name,) = tail.boundary
    entered = made.recorded(tail.boundary).boundary
    pool = record_boundary(made, tail, entered, 1, np.random.default_rng(0)).retain
    every = np.arange(len(pool))
    single, mixed = np.split(pool.take(every)[name].astype(np.float64), 2)
    np.testing.assert_array_equal(pool.take(every[::-1])[name], pool.take(every)[name][::-1])
    for sample in mixed[:10]:
        ends = [(a, b) for i, a in enumerate(single) for b in single[i:]]
        norm = np.linalg.norm
        between = [norm(sample - a) + norm(sample - b) - norm(a - b) for a, b in ends]
        assert min(between) < 1e-3


def test_large_models_get_fewer_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the memory that they take, and by what it takes to record them."""
    made = bench(RESNET)
    tail = tail_of(made.model, scope(made, 1), ["logits"], shape_arithmetic(made.model))
    entered = made.recorded(tail.boundary).boundary
    forgotten, retained = int(made.forgotten.sum()), int((~made.forgotten).sum())
    samples = 2 * forgotten + retained
    each = sum(value[:1].nbytes for value in entered.values()) + 2 * 4 * made.logits.classes

    def copies() -> int:
        return record_boundary(made, tail, entered, 8, np.random.default_rng(0)).copies

    assert copies() == 8
    monkeypatch.setattr(boundary, "_MEMORY", 3 * samples * each)
    assert copies() == 3
    front = [la for la in made.layers if la not in (*scope(made, 1), made.head)]
    monkeypatch.setattr(boundary, "_WORK", 1.5 * samples * multiplications(made, front))
    assert copies() == 2


def test_multiplications_are_weights_times_places() -> None:
    made = bench(MLP)
    assert multiplications(made, scope(made, 2)) == 784 * 128 + 128 * 64
    made = bench(RESNET)
    assert multiplications(made, scope(made, 1)) == 4 * 4 * 64 * (32 * 9 + 64 * 9 + 32)


def test_pooled_and_back() -> None:
    made = bench(RESNET)
    tail = tail_of(made.model, scope(made, 1), ["logits"], shape_arithmetic(made.model))
    assert tail.boundary == ("/5/Relu_1_output_0",)
    rng = np.random.default_rng(0)
    inner = rng.normal(size=(3, 5, 4)).astype(np.float32)  # tokens before channels
    head = made.head
    assert pooled(inner, head).shape == (3, 4)
    gradient = rng.normal(size=(3, 4))
    np.testing.assert_allclose(
        (unpooled(gradient, inner, head) * inner).sum(), (gradient * pooled(inner, head)).sum(), rtol=1e-5
    )
