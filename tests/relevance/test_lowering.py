"""What is fused, quantised, half or wrapped computes the same once lowered, and relevance passes it."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import Logits, Model, find_logits, load
from onnxunlearn.relevance import Propagator, parse_composite
from onnxunlearn.relevance.lowering import dequantise, inline, lower, lower_contrib, widen

ort = pytest.importorskip("onnxruntime")
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
    graph = helper.make_graph([node], "one", inputs, ends, stored)
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    feeds = {f"i{i}": v for i, v in enumerate(operands) if i in fed and v is not None}
    return Model(proto.SerializeToString(), proto), feeds


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


# functions


def test_a_plain_model_is_left_alone() -> None:
    model = load(SAMPLES / "mnist_cnn.onnx")
    assert lower(model) is model


def test_functions_are_inlined() -> None:
    body = [helper.make_node("MatMul", ["a", "w"], ["z"]), helper.make_node("Relu", ["z"], ["b"])]
    function = helper.make_function("own", "Layer", ["a", "w"], ["b"], body, [helper.make_opsetid("", 17)])
    nodes = [
        helper.make_node("Layer", ["x", "w0"], ["h"], domain="own"),
        helper.make_node("Layer", ["h", "w1"], ["logits"], domain="own"),
    ]
    graph = helper.make_graph(
        nodes,
        "two calls",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(normal(4, 5), "w0"), numpy_helper.from_array(normal(5, 3), "w1")],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    proto = helper.make_model(graph, opset_imports=opsets, functions=[function], ir_version=8)
    model, feeds = load(proto.SerializeToString()), {"x": normal(2, 4)}
    lowered = inline(model)
    assert [node.op for node in lowered.nodes] == ["MatMul", "Relu"] * 2
    assert "h" in lowered.activations
    assert_same(model, lowered, feeds, 0)
    assert relevance(model, feeds, ["x", "h"], "epsilon_plus", Logits("logits", "logits", 3, None))


# contrib

X, W, B = normal(2, 3, 6, 6), normal(4, 3, 3, 3), normal(4)
TOKENS, NEXT, WIDE = normal(2, 5, 8), normal(2, 5, 8), normal(8)
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], np.int32)
IDS = RNG.integers(0, 11, (2, 5)).astype(np.int32)
TABLES = [normal(11, 8), normal(7, 8), normal(2, 8), WIDE, normal(8)]
EMBEDDINGS: list[Any] = [IDS, np.minimum(IDS, 1), *TABLES, MASK]
EMBEDDED: dict[str, Any] = {"fed": (0, 1, 7), "outputs": 2, "returned": [1]}
QKV: list[Any] = [TOKENS, normal(8, 24), normal(24)]
SEPARATE: list[Any] = [TOKENS, normal(2, 4, 8), normal(2, 4, 8)]
HEADS: dict[str, Any] = {"num_heads": 2, "fed": (0, 3, 4, 5)}
CROSS: dict[str, Any] = {"num_heads": 2, "fed": (0, 1, 2, 4, 5)}
SELF: list[Any] = [TOKENS, NEXT, normal(2, 5, 8)]
PAST = [normal(2, 2, 3, 4), normal(2, 2, 3, 4)]
LONGER: dict[str, Any] = {"num_heads": 2, "outputs": 3, "returned": [1, 2]}
ROWS = normal(3, 4)
TWO = (0, 1)
FUSED: list[Case] = [
    ("FusedConv", "Relu", [X, W, B], {"activation": "Relu", "pads": [1, 1, 1, 1]}),
    ("FusedConv", "LeakyRelu", [X, W, B], {"activation": "LeakyRelu", "activation_params": [0.2]}),
    ("FusedConv", "Clip", [X, W, B], {"activation": "Clip", "activation_params": [-0.5, 0.75]}),
    ("FusedConv", "Sigmoid", [X, W], {"activation": "Sigmoid"}),
    ("FusedConv", "Tanh", [X, W, B], {"activation": "Tanh", "strides": [2, 2]}),
    ("FusedConv", "HardSigmoid", [X, W, B], {"activation": "HardSigmoid", "activation_params": [0.3, 0.4]}),
    ("FusedConv", "sum", [X, W, B, normal(2, 4, 4, 4)], {"fed": (0, 3), "activation": "Relu"}),
    ("FusedGemm", "", [ROWS, normal(5, 4), normal(5)], {"transB": 1, "alpha": 0.5, "activation": "Relu"}),
    ("FusedGemm", "leaky", [ROWS, normal(4, 5)], {"activation": "LeakyRelu", "activation_alpha": 0.3}),
    ("FusedMatMul", "", [normal(2, 4, 3), normal(2, 5, 4)], {"fed": TWO, "transA": 1, "transB": 1}),
    ("FusedMatMul", "alpha", [normal(2, 3, 4), normal(4, 5)], {"alpha": 0.5}),
    ("SkipLayerNormalization", "", [TOKENS, NEXT, WIDE], {"fed": TWO}),
    (
        "SkipLayerNormalization",
        "sum",
        [TOKENS, NEXT, *[WIDE] * 3],
        {"fed": TWO, "outputs": 4, "returned": [3]},
    ),
    ("SkipLayerNormalization", "opset 13", [TOKENS, NEXT, WIDE, WIDE], {"fed": TWO, "version": 13}),
    ("SkipSimplifiedLayerNormalization", "", [TOKENS, NEXT, WIDE], {"fed": TWO, "epsilon": 1e-5}),
    ("LayerNormalization", "opset 12", [TOKENS, WIDE], {"version": 12, "domain": ""}),
    ("SimplifiedLayerNormalization", "", [TOKENS, WIDE], {"domain": ""}),
    ("EmbedLayerNormalization", "", EMBEDDINGS, EMBEDDED),
    ("EmbedLayerNormalization", "opset 12", EMBEDDINGS, {**EMBEDDED, "version": 12}),
    ("BiasGelu", "", [TOKENS, WIDE], {}),
    ("FastGelu", "", [TOKENS, WIDE], {}),
    ("Gelu", "", [TOKENS], {}),
    ("QuickGelu", "", [TOKENS], {}),
    ("Attention", "", QKV, HEADS),
    ("Attention", "scale", QKV, {**HEADS, "scale": 0.3}),
    ("Attention", "causal", QKV, {**HEADS, "unidirectional": 1}),
    ("Attention", "mask", [*QKV, MASK], HEADS),
    ("Attention", "mask, causal", [*QKV, MASK], {**HEADS, "unidirectional": 1}),
    ("Attention", "lengths", [*QKV, MASK.sum(1).astype(np.int32)], HEADS),
    ("Attention", "mask per query", [*QKV, np.repeat(MASK[:, None], 5, 1)], HEADS),
    ("Attention", "bias", [*QKV, None, None, normal(2, 2, 5, 5)], HEADS),
    ("Attention", "sizes", [TOKENS, normal(8, 20), normal(20)], {**HEADS, "qkv_hidden_sizes": [8, 8, 4]}),
    ("MultiHeadAttention", "", SEPARATE, CROSS),
    ("MultiHeadAttention", "opset 13", [*SEPARATE, normal(24)], {**CROSS, "version": 13}),
    ("MultiHeadAttention", "mask", [*SEPARATE, None, MASK[:, :4]], CROSS),
    ("MultiHeadAttention", "bias", [*SEPARATE, None, None, normal(2, 2, 5, 4)], CROSS),
    ("MultiHeadAttention", "split", [TOKENS, normal(2, 2, 4, 4), normal(2, 2, 4, 4)], CROSS),
    ("MultiHeadAttention", "past", [*SELF, None, None, None, *PAST], {**LONGER, "fed": (0, 1, 2, 6, 7)}),
    (
        "MultiHeadAttention",
        "past, bias, causal",
        [*SELF, normal(24), None, None, *PAST],
        {**LONGER, "fed": (0, 1, 2, 6, 7), "unidirectional": 1},
    ),
    (
        "Attention",
        "past",
        [*QKV, None, np.stack(PAST)],
        {**LONGER, "fed": (0, 4), "returned": [1], "outputs": 2},
    ),
    (
        "Attention",
        "past, causal",
        [*QKV, None, np.stack(PAST)],
        {**LONGER, "fed": (0, 4), "unidirectional": 1, "returned": [1], "outputs": 2},
    ),
    ("Attention", "present", QKV, {**HEADS, "outputs": 2, "returned": [1]}),
]


@pytest.mark.parametrize("case", FUSED, ids=named)
def test_fused_node(case: Case) -> None:
    op, _, operands, settings = case
    model, feeds = one_node(op, operands, **settings)
    assert_same(model, lower_contrib(model), feeds, 1e-4)


def test_a_variant_that_is_not_covered_stays() -> None:
    model, _ = one_node(
        "FusedMatMul", [normal(2, 3, 4), normal(3, 4, 5)], fed=(0, 1), transBatchA=1, transBatchB=0
    )
    assert lower(model) is model


torch = pytest.importorskip("torch")
nn = torch.nn


class Block(nn.Module):  # type: ignore[misc, name-defined]
    """Post-norm self-attention and two layers, as in BERT."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 32), nn.Linear(32, width)

    def forward(self, x, mask):  # type: ignore[no-untyped-def]
        def split(x: Any) -> Any:
            return x.view(x.shape[0], x.shape[1], 2, -1).permute(0, 2, 1, 3)

        q, k, v = split(self.q(x)), split(self.k(x)), split(self.v(x))
        weights = (q @ k.transpose(-1, -2) / 8**0.5 + mask).softmax(-1)
        mixed = (weights @ v).permute(0, 2, 1, 3).reshape(x.shape[0], x.shape[1], -1)
        x = self.first(self.o(mixed) + x)
        return self.second(self.down(nn.functional.gelu(self.up(x))) + x)


class Bert(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.words, self.places, self.kinds = nn.Embedding(20, 16), nn.Embedding(12, 16), nn.Embedding(2, 16)
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 5)
        self.blocks = nn.ModuleList([Block(), Block()])

    def forward(self, ids, mask, kinds):  # type: ignore[no-untyped-def]
        x = self.words(ids) + self.kinds(kinds) + self.places(torch.arange(ids.shape[1])[None])
        x, mask = self.norm(x), (1.0 - mask[:, None, None, :].float()) * -10000.0
        for block in self.blocks:
            x = block(x, mask)
        return self.head(x[:, 0].tanh())


class Vit(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.patches, self.head = nn.Conv2d(1, 16, 4, 4), nn.Linear(16, 5)
        self.places = nn.Parameter(torch.randn(1, 4, 16) * 0.1)
        self.blocks = nn.ModuleList([Block(), Block()])

    def forward(self, x):  # type: ignore[no-untyped-def]
        x = self.patches(x).relu().flatten(2).transpose(1, 2) + self.places
        for block in self.blocks:
            x = block(x, torch.zeros(1))
        return nn.functional.leaky_relu(self.head(x.mean(1)))


TEXT: Feeds = {
    "ids": RNG.integers(0, 20, (3, 6)),
    "mask": np.array([[1] * 6, [1] * 4 + [0] * 2, [1] * 5 + [0]]),
    "kinds": RNG.integers(0, 2, (3, 6)),
}
PICTURES: Feeds = {"x": normal(3, 1, 8, 8)}


def exported(network: Any, feeds: Feeds, path: Path) -> None:
    names = [*feeds, "logits"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            tuple(torch.from_numpy(v[:2]) for v in feeds.values()),
            str(path),
            dynamo=False,
            opset_version=17,
            input_names=list(feeds),
            output_names=["logits"],
            dynamic_axes={name: {0: "n"} for name in names},
        )


def fused_by_session(source: Path, target: Path, level: Any = None) -> None:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = level or ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    ort.InferenceSession(str(source), options)


def fused_by_optimizer(source: Path, target: Path) -> None:
    optimizer = pytest.importorskip("onnxruntime.transformers.optimizer")
    made = optimizer.optimize_model(str(source), model_type="bert", num_heads=2, hidden_size=16, opt_level=0)
    made.save_model_to_file(str(target))


@pytest.mark.parametrize(
    ("network", "feeds", "fuse", "ops"),
    [
        pytest.param(
            Vit,
            PICTURES,
            fused_by_session,
            {"FusedConv", "FusedGemm", "FusedMatMul", "BiasGelu"},
            id="ViT, session",
        ),
        pytest.param(
            Bert,
            TEXT,
            fused_by_session,
            {"FusedMatMul", "SkipLayerNormalization", "BiasGelu"},
            id="BERT, session",
        ),
        pytest.param(
            Bert,
            TEXT,
            fused_by_optimizer,
            {"Attention", "SkipLayerNormalization", "BiasGelu"},
            id="BERT, optimizer",
        ),
    ],
)
def test_fused_network(network: Any, feeds: Feeds, fuse: Any, ops: set[str], tmp_path: Path) -> None:
    """Relevance does not depend on whether ONNX Runtime has fused the model."""
    torch.manual_seed(0)
    exported(network(), feeds, tmp_path / "plain.onnx")
    fuse(tmp_path / "plain.onnx", tmp_path / "fused.onnx")
    plain, fused = load(tmp_path / "plain.onnx"), load(tmp_path / "fused.onnx")
    assert ops <= {node.op for node in fused.nodes if node.domain == "com.microsoft"}
    assert_same(fused, lower(fused), feeds, 1e-4, [*ENGINES, "torch"])
    normed = [n.outputs[0] for n in plain.nodes if n.op == "LayerNormalization"]
    tensors = [n for n in ("x", *normed) if n in plain.activations and n in fused.activations]
    assert tensors
    logits = Logits("logits", "logits", 5, None)
    for composite in ("epsilon_plus", "gradient"):
        expected = relevance(plain, feeds, tensors, composite, logits)
        for name, value in relevance(fused, feeds, tensors, composite, logits).items():
            np.testing.assert_allclose(value, expected[name], rtol=0, atol=1e-4 * abs(expected[name]).max())


# quantised


def u8(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape).astype(np.uint8)


def i8(*shape: int) -> np.ndarray:
    return RNG.integers(-127, 128, shape).astype(np.int8)


S, Z, ZI = np.array(0.02, np.float32), np.array(120, np.uint8), np.array(3, np.int8)
ONE, LOW = np.array(0.004, np.float32), np.array(0, np.uint8)
CHANNELS = np.array([0.01, 0.02, 0.03, 0.015], np.float32)
BIASES = np.array([100, -200, 300, 0], np.int32)
PAIR = [u8(2, 3, 4), S, Z, u8(3, 4), ONE, LOW, S * 2, Z]
SINGLE = [u8(2, 3, 4, 4), S, Z, ONE, LOW]
CONV = [u8(2, 3, 6, 6), S, Z, i8(4, 3, 3, 3), CHANNELS, np.zeros(4, np.int8), S * 20, Z, BIASES]
LAST = [u8(2, 6, 5, 3), *CONV[1:]]
BITS = {"K": 40, "N": 5, "block_size": 16}
STANDARD = {"domain": ""}
INTEGER: list[Case] = [
    ("QLinearConv", "", CONV, {**STANDARD, "pads": [1, 1, 1, 1]}),
    ("QLinearMatMul", "", [u8(2, 3, 4), S, Z, i8(4, 5), S, ZI, S * 10, LOW], STANDARD),
    ("QGemm", "", [u8(3, 4), S, Z, i8(4, 4), S, ZI, BIASES, S * 10, Z], {"transB": 1}),
    ("QGemm", "to float", [u8(3, 4), S, Z, i8(4, 5), S, ZI], {"alpha": 0.5}),
    ("QLinearAdd", "", PAIR, {"fed": (0, 3)}),
    ("QLinearMul", "", PAIR, {"fed": (0, 3)}),
    ("QLinearGlobalAveragePool", "", SINGLE, {"channels_last": 0}),
    ("QLinearAveragePool", "", SINGLE, {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("QLinearConv", "channels last", LAST, {"channels_last": 1, "pads": [1, 1, 1, 1], "strides": [2, 1]}),
    ("QLinearGlobalAveragePool", "channels last", SINGLE, {"channels_last": 1}),
    ("QLinearAveragePool", "channels last", SINGLE, {"kernel_shape": [2, 2], "channels_last": 1}),
    ("NhwcMaxPool", "", [u8(2, 5, 6, 3)], {"kernel_shape": [2, 3], "pads": [1, 0, 0, 1], "strides": [2, 1]}),
    ("QLinearSigmoid", "", SINGLE, {}),
    ("QLinearLeakyRelu", "", SINGLE, {"alpha": 0.2}),
    ("QLinearSoftmax", "", SINGLE, {"opset": 17, "axis": -1}),
    ("QLinearConcat", "", [S, Z, u8(2, 3), S, Z, u8(2, 4), ONE, LOW], {"fed": (2, 5), "axis": 1}),
    ("QuantizeLinear", "saturates", [3 * normal(4, 5), S, LOW], STANDARD),
    ("DynamicQuantizeLinear", "", [ROWS], {**STANDARD, "outputs": 3, "returned": [1, 2]}),
    ("DynamicQuantizeMatMul", "", [ROWS, i8(4, 5), S, ZI, normal(5)], {}),
    ("MatMulIntegerToFloat", "", [u8(3, 4), i8(4, 5), S, S, Z, ZI, normal(5)], {}),
    ("MatMulNBits", "4 bits", [normal(3, 40), u8(5, 3, 8), abs(normal(15))], {**BITS, "bits": 4}),
    ("MatMulNBits", "zeros", [normal(3, 40), u8(5, 3, 8), abs(normal(15)), u8(10)], {**BITS, "bits": 4}),
    ("MatMulNBits", "8 bits", [normal(3, 40), u8(5, 3, 16), abs(normal(15))], {**BITS, "bits": 8}),
    (
        "QAttention",
        "",
        [u8(2, 5, 8), i8(8, 24), normal(24), S, ONE, MASK, Z, ZI],
        {"num_heads": 2, "fed": (0, 5)},
    ),
]


@pytest.mark.parametrize("case", INTEGER, ids=named)
def test_quantised_node(case: Case) -> None:
    """Integers within one step; floats within what rounding the activations leaves open."""
    op, _, operands, settings = case
    model, feeds = one_node(op, operands, **settings)
    integers = values(model, feeds)["y0"].dtype.kind in "iu"
    assert_same(model, dequantise(model), feeds, 1 if integers else 1e-3)


class Calibration:
    def __init__(self, x: np.ndarray) -> None:
        self.batches = iter([{"x": x[i : i + 16]} for i in range(0, len(x), 16)])

    def get_next(self) -> Feeds | None:
        return next(self.batches, None)


def digits() -> Feeds:
    return {"x": np.load(SAMPLES / "mnist_probes.npz")["x"][:32]}


KINDS = ["QDQ", "QDQ per channel", "QOperator", "QOperator per channel", "QOperator channels last", "dynamic"]


@pytest.mark.parametrize("kind", KINDS)
def test_quantised_network(kind: str, tmp_path: Path) -> None:
    """Relevance of a quantised file is nearly that of the float model it was made from."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    source, target, feeds = SAMPLES / "mnist_cnn.onnx", tmp_path / "quantised.onnx", digits()
    if kind == "dynamic":
        quantization.quantize_dynamic(str(source), str(target))
    else:
        form, *rest = kind.split(" ", 1)
        quantization.quantize_static(
            str(source),
            str(target),
            Calibration(feeds["x"]),
            quant_format=quantization.QuantFormat[form],
            per_channel=rest == ["per channel"],
        )
    if "last" in kind:
        fused_by_session(target, tmp_path / "last.onnx", ort.GraphOptimizationLevel.ORT_ENABLE_ALL)
        target = tmp_path / "last.onnx"
        assert {"QLinearConv", "NhwcMaxPool"} <= {n.op for n in load(target).nodes if n.domain}
    plain, model = load(source), load(target)
    lowered = lower(model)
    (output,) = values(model, feeds).values()
    steps = 0.0 if kind == "dynamic" else float(np.ptp(output)) / 100
    assert_same(model, lowered, feeds, 1e-4 + steps, [*ENGINES, "torch"])
    targets = values(plain, feeds)["logits"].argmax(1)
    for composite in ("epsilon_plus", "gradient"):
        expected, found = (relevance(m, feeds, ["x"], composite, None, targets)["x"] for m in (plain, model))
        assert correlation(found, expected) > 0.95


# half


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


@pytest.mark.parametrize("name", ["mnist_cnn", "mnist_resnet", "fashion_mobile"])
def test_half_network(name: str) -> None:
    plain, feeds = load(SAMPLES / f"{name}.onnx"), digits()
    model = halved(plain)
    half = {n: v.astype(np.float16) for n, v in feeds.items()}
    lowered = widen(model)
    size = abs(values(plain, feeds)["logits"]).max()
    assert_same(model, lowered, half, 1e-2 * size, [*ENGINES, "torch"])
    assert values(lowered, half)["logits"].dtype == np.float32
    targets = values(plain, feeds)["logits"].argmax(1)
    for composite in ("epsilon_plus", "gradient"):
        expected = relevance(plain, feeds, ["x"], composite, None, targets)["x"]
        found = relevance(model, half, ["x"], composite, None, targets)["x"]
        assert correlation(found, expected) > 0.999
