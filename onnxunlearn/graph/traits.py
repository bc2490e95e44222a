"""What is known of each op: one record an op, which all rooms read.

What an op *does* to a signal that goes back is its adjoint (`reverse.adjoints`); how an engine runs it is the
engine's. A record holds what several rooms must agree on. tests/graph/test_traits.py tries what can be tried.
"""

from dataclasses import dataclass
from enum import Enum


class Sign(Enum):
    """Of an op's (first) output."""

    NEVER_NEGATIVE = "≥ 0 whatever goes in"
    KEPT = "≥ 0 if all data that goes in is"


class Folds(Enum):
    """How the reference evaluator runs an op on constants."""

    WHOLE = "NumPy makes it at once"
    BY_LOOPS = "Python loops over the elements"
    NEVER = "another value each time, or a decoder for files from strangers"


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What holds of an op, whatever its attributes.

    data: numbers of the inputs through which a signal can flow back, the others being shapes, axes, indices,
    bounds or parameters; empty for steps and comparisons; None for all inputs.
    channels: of an op that is linear in its first input with its second as weight, the axis of the output
    that counts channels; None for all others.
    affine: elementwise scale and shift, if all operands but one are constant.
    channelwise: channel i of the output is made of channel i of the (first) input.
    layout: only renames, retypes or rearranges: each element is used exactly once, unmixed.
    keeps_scores: of class scores that go in all come out, in order.
    averages: over places, so that channels stay what they are.
    opaque: keeps what it knows in attributes, not in weights.
    commutative: in its two operands.
    of_shape: reads the shape of its input, and no value.
    flattened: normalises over one axis; before opset 13 over all from `axis` on.
    sized_by_values: the size of the output depends on the values.
    lists: shape inference follows the values of lists of sizes through it.
    picks: an element of the output is an element of one input, so that the others need not be known.
    numbers: reads sizes, axes or pads.
    """

    data: tuple[int, ...] | None = None
    sign: Sign | None = None
    channels: int | None = None
    affine: bool = False
    channelwise: bool = False
    layout: bool = False
    keeps_scores: bool = False
    averages: bool = False
    opaque: bool = False
    commutative: bool = False
    of_shape: bool = False
    folds: Folds = Folds.BY_LOOPS
    flattened: bool = False
    sized_by_values: bool = False
    lists: bool = False
    picks: bool = False
    numbers: bool = False

    @property
    def linear(self) -> bool:
        """Whether it is linear in its first input, with the second as its weight."""
        return self.channels is not None


def traits(op: str) -> Traits:
    """Of an op (`Conv`, `com.microsoft::QuantizeLinear`); of one that is not listed nothing is known."""
    return _TRAITS.get(op, _NOTHING)


_NOTHING = Traits()
_NONE, _FIRST = (), (0,)
_OPAQUE = Traits(opaque=True)
_QUANTISES = Traits(data=_FIRST, channelwise=True, keeps_scores=True, folds=Folds.WHOLE)
_TRAITS = {
    "Abs": Traits(sign=Sign.NEVER_NEGATIVE, folds=Folds.WHOLE),
    "Add": Traits(sign=Sign.KEPT, affine=True, commutative=True, folds=Folds.WHOLE, lists=True),
    "And": Traits(data=_NONE, folds=Folds.WHOLE),
    "ArgMax": Traits(data=_NONE),
    "ArgMin": Traits(data=_NONE),
    "AveragePool": Traits(sign=Sign.KEPT, averages=True),
    "BatchNormalization": Traits(affine=True, channelwise=True, folds=Folds.WHOLE),
    "Bernoulli": Traits(folds=Folds.NEVER),
    "Cast": Traits(channelwise=True, layout=True, keeps_scores=True, folds=Folds.WHOLE, lists=True),
    "CastLike": Traits(data=_FIRST, folds=Folds.WHOLE),
    "Ceil": Traits(data=_NONE, folds=Folds.WHOLE),
    "Clip": Traits(data=_FIRST, channelwise=True, folds=Folds.WHOLE),
    "Compress": Traits(sized_by_values=True),
    "Concat": Traits(sign=Sign.KEPT, folds=Folds.WHOLE, picks=True),
    "Constant": Traits(folds=Folds.WHOLE),
    "ConstantOfShape": Traits(data=_NONE, folds=Folds.WHOLE, numbers=True),
    "Conv": Traits(channels=1),
    "ConvTranspose": Traits(channels=1),
    "Cos": Traits(folds=Folds.WHOLE),
    "CumSum": Traits(data=_FIRST, numbers=True),
    "DequantizeLinear": _QUANTISES,
    "Div": Traits(affine=True, folds=Folds.WHOLE, lists=True),
    "Dropout": Traits(data=_FIRST, sign=Sign.KEPT, channelwise=True, folds=Folds.NEVER),
    "DynamicQuantizeLinear": Traits(folds=Folds.WHOLE),
    "Equal": Traits(data=_NONE, folds=Folds.WHOLE),
    "Exp": Traits(folds=Folds.WHOLE),
    "Expand": Traits(data=_FIRST, folds=Folds.WHOLE, numbers=True),
    "EyeLike": Traits(data=_NONE, folds=Folds.WHOLE),
    "Flatten": Traits(sign=Sign.KEPT, channelwise=True, layout=True, keeps_scores=True, folds=Folds.WHOLE),
    "Floor": Traits(data=_NONE, folds=Folds.WHOLE),
    "GRU": Traits(data=_FIRST),
    "Gather": Traits(data=_FIRST, folds=Folds.WHOLE, lists=True, picks=True),
    "GatherElements": Traits(data=_FIRST),
    "GatherND": Traits(data=_FIRST),
    "Gemm": Traits(channels=-1, folds=Folds.WHOLE),
    "GlobalAveragePool": Traits(sign=Sign.KEPT, channelwise=True, averages=True),
    "GlobalMaxPool": Traits(sign=Sign.KEPT, channelwise=True),
    "Greater": Traits(data=_NONE, folds=Folds.WHOLE),
    "GreaterOrEqual": Traits(data=_NONE, folds=Folds.WHOLE),
    "HardSigmoid": Traits(sign=Sign.NEVER_NEGATIVE, channelwise=True),
    "HardSwish": Traits(sign=Sign.KEPT, channelwise=True),
    "Hardmax": Traits(flattened=True),
    "Identity": Traits(
        sign=Sign.KEPT,
        channelwise=True,
        layout=True,
        keeps_scores=True,
        folds=Folds.WHOLE,
        lists=True,
        picks=True,
    ),
    "ImageDecoder": Traits(folds=Folds.NEVER),
    "IsInf": Traits(data=_NONE, folds=Folds.WHOLE),
    "IsNaN": Traits(data=_NONE, folds=Folds.WHOLE),
    "LSTM": Traits(data=_FIRST),
    "LeakyRelu": Traits(sign=Sign.KEPT, channelwise=True),
    "Less": Traits(data=_NONE, folds=Folds.WHOLE),
    "LessOrEqual": Traits(data=_NONE, folds=Folds.WHOLE),
    "Log": Traits(folds=Folds.WHOLE),
    "LogSoftmax": Traits(flattened=True),
    "MatMul": Traits(channels=-1, folds=Folds.WHOLE),
    "MatMulInteger": Traits(folds=Folds.WHOLE),
    "Max": Traits(folds=Folds.WHOLE, lists=True),
    "MaxPool": Traits(sign=Sign.KEPT),
    "Mean": Traits(folds=Folds.WHOLE),
    "Min": Traits(folds=Folds.WHOLE, lists=True),
    "Mod": Traits(folds=Folds.WHOLE),
    "Mul": Traits(affine=True, commutative=True, folds=Folds.WHOLE, lists=True),
    "Multinomial": Traits(folds=Folds.NEVER),
    "Neg": Traits(folds=Folds.WHOLE, lists=True),
    "NonZero": Traits(data=_NONE, sized_by_values=True),
    "Not": Traits(data=_NONE, folds=Folds.WHOLE),
    "OneHot": Traits(data=_NONE, folds=Folds.WHOLE),
    "Or": Traits(data=_NONE, folds=Folds.WHOLE),
    "Pad": Traits(data=_FIRST, folds=Folds.WHOLE, numbers=True),
    "Pow": Traits(folds=Folds.WHOLE),
    "QuantizeLinear": _QUANTISES,
    "RNN": Traits(data=_FIRST),
    "RandomNormal": Traits(folds=Folds.NEVER),
    "RandomNormalLike": Traits(data=_NONE, folds=Folds.NEVER),
    "RandomUniform": Traits(folds=Folds.NEVER),
    "RandomUniformLike": Traits(folds=Folds.NEVER),
    "Range": Traits(data=_NONE, folds=Folds.WHOLE, numbers=True),
    "Reciprocal": Traits(folds=Folds.WHOLE),
    "ReduceL1": Traits(data=_FIRST, numbers=True),
    "ReduceL2": Traits(data=_FIRST, numbers=True),
    "ReduceLogSum": Traits(data=_FIRST, numbers=True),
    "ReduceLogSumExp": Traits(data=_FIRST, numbers=True),
    "ReduceMax": Traits(data=_FIRST, folds=Folds.WHOLE, numbers=True),
    "ReduceMean": Traits(
        data=_FIRST, sign=Sign.KEPT, channelwise=True, averages=True, folds=Folds.WHOLE, numbers=True
    ),
    "ReduceMin": Traits(data=_FIRST, folds=Folds.WHOLE, numbers=True),
    "ReduceProd": Traits(data=_FIRST, folds=Folds.WHOLE, numbers=True),
    "ReduceSum": Traits(data=_FIRST, folds=Folds.WHOLE, numbers=True),
    "ReduceSumSquare": Traits(data=_FIRST, numbers=True),
    "Relu": Traits(sign=Sign.NEVER_NEGATIVE, channelwise=True, folds=Folds.WHOLE),
    "Reshape": Traits(
        data=_FIRST,
        sign=Sign.KEPT,
        channelwise=True,
        layout=True,
        keeps_scores=True,
        folds=Folds.WHOLE,
        lists=True,
        picks=True,
        numbers=True,
    ),
    "Resize": Traits(data=_FIRST),
    "Round": Traits(data=_NONE, folds=Folds.WHOLE),
    "ScatterElements": Traits(data=(0, 2)),
    "ScatterND": Traits(data=(0, 2)),
    "Shape": Traits(data=_NONE, of_shape=True, folds=Folds.WHOLE),
    "Sigmoid": Traits(sign=Sign.NEVER_NEGATIVE, channelwise=True, folds=Folds.WHOLE),
    "Sign": Traits(data=_NONE, folds=Folds.WHOLE),
    "Sin": Traits(folds=Folds.WHOLE),
    "Size": Traits(data=_NONE, of_shape=True, folds=Folds.WHOLE),
    "Slice": Traits(data=_FIRST, folds=Folds.WHOLE, lists=True, picks=True, numbers=True),
    "Softmax": Traits(sign=Sign.NEVER_NEGATIVE, folds=Folds.WHOLE, flattened=True),
    "Split": Traits(data=_FIRST, folds=Folds.WHOLE, numbers=True),
    "Sqrt": Traits(folds=Folds.WHOLE),
    "Squeeze": Traits(
        data=_FIRST,
        sign=Sign.KEPT,
        channelwise=True,
        layout=True,
        keeps_scores=True,
        folds=Folds.WHOLE,
        lists=True,
        picks=True,
        numbers=True,
    ),
    "Sub": Traits(affine=True, folds=Folds.WHOLE, lists=True),
    "Sum": Traits(folds=Folds.WHOLE),
    "Tanh": Traits(channelwise=True, folds=Folds.WHOLE),
    "Tile": Traits(data=_FIRST, folds=Folds.WHOLE, numbers=True),
    "Transpose": Traits(sign=Sign.KEPT, layout=True, folds=Folds.WHOLE),
    "Trilu": Traits(data=_FIRST, folds=Folds.WHOLE, numbers=True),
    "Unique": Traits(sized_by_values=True),
    "Unsqueeze": Traits(
        data=_FIRST, sign=Sign.KEPT, layout=True, folds=Folds.WHOLE, lists=True, picks=True, numbers=True
    ),
    "Upsample": Traits(data=_FIRST),
    "Where": Traits(data=(1, 2), folds=Folds.WHOLE),
    "Xor": Traits(data=_NONE, folds=Folds.WHOLE),
    "ai.onnx.ml::ArrayFeatureExtractor": Traits(data=_FIRST),
    "ai.onnx.ml::Binarizer": Traits(data=_NONE),
    "ai.onnx.ml::CategoryMapper": Traits(data=_NONE),
    "ai.onnx.ml::LabelEncoder": Traits(data=_NONE),
    "ai.onnx.ml::LinearClassifier": _OPAQUE,
    "ai.onnx.ml::LinearRegressor": _OPAQUE,
    "ai.onnx.ml::OneHotEncoder": Traits(data=_NONE),
    "ai.onnx.ml::SVMClassifier": _OPAQUE,
    "ai.onnx.ml::SVMRegressor": _OPAQUE,
    "ai.onnx.ml::TreeEnsemble": _OPAQUE,
    "ai.onnx.ml::TreeEnsembleClassifier": _OPAQUE,
    "ai.onnx.ml::TreeEnsembleRegressor": _OPAQUE,
    "com.microsoft::DequantizeLinear": _QUANTISES,
    "com.microsoft::QuantizeLinear": _QUANTISES,
}
