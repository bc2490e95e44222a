"""What enters the tail of a model, recorded once."""

from dataclasses import replace

import numpy as np

from onnxunlearn.graph import expose, find_logits, load, pooled, unpooled
from onnxunlearn.graph.flow import shape_arithmetic
from onnxunlearn.graph.tail import tail_of
from onnxunlearn.methods.erase.boundary import record_boundary
from onnxunlearn.methods.erase.scope import multiplications, scope
from onnxunlearn.probes import Probes

from ...odd_models import KINDS
from ...sample_paths import MLP, RESNET
from ..benches import bench


def test_probes_come_first_then_moved_copies_then_mixtures() -> None:
    made = bench(RESNET, (3, 5))
    tail = tail_of(made.model, scope(made, 1), ["logits"], shape_arithmetic(made.model))
    found = record_boundary(made, tail, 3, np.random.default_rng(0))
    (name,) = tail.boundary
    forgotten, retained = int(made.forgotten.sum()), int((~made.forgotten).sum())
    assert [len(variant[name]) for variant in found.forget] == [forgotten] * 6
    assert len(found.retain[name]) == 2 * 3 * retained
    assert found.copies == 3
    session = made.engine.session(expose(made.model, [name]))
    whole = session.run(made.probes.feeds)[name]
    np.testing.assert_allclose(found.forget[0][name], whole[made.forgotten], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.retain[name][:retained], whole[~made.forgotten], rtol=1e-4, atol=1e-4)
    assert not np.allclose(found.forget[1][name], found.forget[0][name], atol=1e-2)


def test_retained_token_sequences_are_spliced_those_to_forget_stay() -> None:
    proto, arrays = KINDS["tokens with a mask"]()
    model, y = load(proto.SerializeToString()), arrays.pop("y")
    made = replace(bench(), model=model, logits=find_logits(model), probes=Probes(arrays, y, "words"))
    tail = tail_of(model, made.editable, ["y"], shape_arithmetic(model))
    found = record_boundary(made, tail, 3, np.random.default_rng(0))
    (name,) = tail.boundary
    retained = int((~made.forgotten).sum())
    assert (len(found.forget), found.copies) == (1, 3)
    given, first, second, *_ = np.split(found.retain[name], 6)
    assert len(given) == retained
    changed = [(a != b).any(axis=1).mean() for a, b in ((first, given), (second, given), (second, first))]
    assert min(changed) > 0.8


def test_a_mixture_lies_between_two_samples() -> None:
    made = bench(MLP)
    tail = tail_of(made.model, scope(made, 1), ["logits"], shape_arithmetic(made.model))
    (name,) = tail.boundary
    pool = record_boundary(made, tail, 1, np.random.default_rng(0)).retain[name].astype(np.float64)
    single, mixed = np.split(pool, 2)
    for sample in mixed[:10]:
        ends = [(a, b) for i, a in enumerate(single) for b in single[i:]]
        norm = np.linalg.norm
        between = [norm(sample - a) + norm(sample - b) - norm(a - b) for a, b in ends]
        assert min(between) < 1e-3


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
