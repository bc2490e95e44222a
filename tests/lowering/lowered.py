"""Models of one node, and what their lowered form is compared by."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import FileBytes, Logits, Model, find_logits, load
from onnxunlearn.lowering import lower
from onnxunlearn.relevance import Propagator, parse_composite

SAMPLES = Path(__file__).parents[2] / "sample_models"
RNG = np.random.default_rng(0)
Feeds = dict[str, np.ndarray]
#: op, variant, operands, settings of `one_node` and attributes
Case = tuple[str, str, Sequence[np.ndarray | None], dict[str, Any]]
ENGINES = ["onnxruntime", "numpy"]


def named(case: Case) -> str:
    return f"{case[0]} {case[1]}".strip()


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def one_node(
    op: str,
    operands: Sequence[np.ndarray | None],
    *,
    fed: Sequence[int] = (0,),
    version: int = 17,
    outputs: int = 1,
    returned: Sequence[int] = (),
    domain: str = "com.microsoft",
    ml: int = 3,
    **attributes: Any,
) -> tuple[Model, Feeds]:
    """A model of one node; operands whose numbers are `fed` are inputs, the others initializers."""
    names = ["" if value is None else f"i{i}" for i, value in enumerate(operands)]
    made = [f"y{i}" if i in {0, *returned} else "" for i in range(outputs)]
    node = helper.make_node(op, names, made, name="the node", domain=domain, **attributes)
    inputs, stored = [], []
    for i, value in enumerate(operands):
        if value is None:
            continue
        if i in fed:
            kind = helper.np_dtype_to_tensor_dtype(value.dtype)
            inputs.append(helper.make_tensor_value_info(f"i{i}", kind, value.shape))
        else:
            stored.append(numpy_helper.from_array(value, f"i{i}"))
    # types of outputs are inferred by the runtimes
    ends = [onnx.ValueInfoProto(name=name) for name in made if name]
    opsets = [helper.make_opsetid("", version), helper.make_opsetid("com.microsoft", 1)]
    if domain == "ai.onnx.ml":
        opsets.append(helper.make_opsetid(domain, ml))
    graph = helper.make_graph([node], "one", inputs, ends, stored)
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    feeds = {f"i{i}": v for i, v in enumerate(operands) if i in fed and v is not None}
    return Model(FileBytes(proto.SerializeToString()), proto), feeds


def values(model: Model, feeds: Feeds, engine: str = "onnxruntime") -> Feeds:
    return create_engine(engine).session(model.proto).run(feeds)


def assert_same(
    model: Model, lowered: Model, feeds: Feeds, tolerance: float, engines: Sequence[str] = ENGINES
) -> None:
    """No fused node is left, and every output is the original's, on each engine."""
    assert not [node for node in lowered.nodes if node.domain]
    assert lower(lowered) is lowered
    expected = values(model, feeds)
    for engine in engines:
        for name, value in values(lowered, feeds, engine).items():
            np.testing.assert_allclose(
                value.astype(np.float32), expected[name].astype(np.float32), rtol=0, atol=tolerance
            )


def relevance(
    model: Model,
    feeds: Feeds,
    tensors: Sequence[str],
    composite: str,
    logits: Logits | None = None,
    targets: np.ndarray | None = None,
) -> Feeds:
    size = len(next(iter(feeds.values())))
    engine = create_engine("onnxruntime")
    found = logits or find_logits(model)
    propagator = Propagator(model, found, engine, parse_composite(composite), tensors)
    classes = np.arange(size) % found.classes if targets is None else targets
    (batch,) = propagator.run(feeds, classes, size)
    return dict(batch.relevance)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Mean over the samples."""
    return float(np.mean([np.corrcoef(p.ravel(), q.ravel())[0, 1] for p, q in zip(a, b, strict=True)]))


MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], np.int32)
ROWS = normal(3, 4)


def digits() -> Feeds:
    return {"x": np.load(SAMPLES / "mnist_probes.npz")["x"][:32]}


def halved(model: Model) -> Model:
    """The model in float16, the way converters write it."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    for tensor in proto.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    for info in (*proto.graph.input, *proto.graph.output):
        info.type.tensor_type.elem_type = TensorProto.FLOAT16
    del proto.graph.value_info[:]
    return load(proto.SerializeToString())
