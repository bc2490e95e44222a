"""One float32 model as every other kind of file that deployment teams hold, made by the usual tools.

Static, dynamic and weight-only quantisation: onnxruntime.quantization. float16: onnxruntime's converter.
float64, bfloat16 and external data: the onnx package.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from onnxunlearn.graph import as_float64, load

#: (float32 model, where to write, calibration samples [n, ...]) -> the written file
Conversion = Callable[[Path, Path, np.ndarray], None]
FORMATS: dict[str, Conversion] = {}


def conversion(name: str) -> Callable[[Conversion], Conversion]:
    def register(function: Conversion) -> Conversion:
        FORMATS[name] = function
        return function

    return register


class _Samples(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime has no stubs
    def __init__(self, name: str, x: np.ndarray) -> None:
        self._batches: Iterator[dict[str, np.ndarray]] = iter(
            [{name: x[i : i + 32]} for i in range(0, len(x), 32)]
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)


@conversion("float32")
def as_it_is(source: Path, target: Path, samples: np.ndarray) -> None:
    target.write_bytes(source.read_bytes())


@conversion("float16")
def half(source: Path, target: Path, samples: np.ndarray) -> None:
    onnx.save(convert_float_to_float16(onnx.load(source)), target)


@conversion("float16, float32 in and out")
def half_inside(source: Path, target: Path, samples: np.ndarray) -> None:
    model = OnnxModel(convert_float_to_float16(onnx.load(source), keep_io_types=True))
    model.topological_sort()  # the converter puts its Casts last
    onnx.save(model.model, target)


@conversion("bfloat16 weights")
def brain(source: Path, target: Path, samples: np.ndarray) -> None:
    """Weights in bfloat16 and cast where they are read: ONNX Runtime computes little in it on a CPU."""
    model = onnx.load(source)
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        name, stored = tensor.name, f"{tensor.name}.bfloat16"
        values = numpy_helper.to_array(tensor)
        bits = values.astype(np.dtype(onnx.helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16)))
        tensor.CopyFrom(numpy_helper.from_array(bits, stored))
        casts.append(
            onnx.helper.make_node("Cast", [stored], [name], name=f"cast {name}", to=TensorProto.FLOAT)
        )
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, target)


@conversion("float64")
def double(source: Path, target: Path, samples: np.ndarray) -> None:
    onnx.save(as_float64(load(source)).proto, target)


def _static(form: QuantFormat, weights: QuantType, activations: QuantType, **options: Any) -> Conversion:
    def convert(source: Path, target: Path, samples: np.ndarray) -> None:
        with tempfile.TemporaryDirectory() as folder:
            prepared = Path(folder) / "prepared.onnx"
            quant_pre_process(str(source), str(prepared))
            quantize_static(
                str(prepared),
                str(target),
                _Samples(onnx.load(source).graph.input[0].name, samples),
                quant_format=form,
                weight_type=weights,
                activation_type=activations,
                **options,
            )

    return convert


_S8, _U8 = QuantType.QInt8, QuantType.QUInt8
FORMATS |= {
    "QDQ int8 per channel": _static(QuantFormat.QDQ, _S8, _S8, per_channel=True),
    "QDQ int8 per tensor": _static(QuantFormat.QDQ, _S8, _U8),
    "QDQ uint8 asymmetric": _static(
        QuantFormat.QDQ, _U8, _U8, extra_options={"ActivationSymmetric": False, "WeightSymmetric": False}
    ),
    "QDQ int16 activations": _static(
        QuantFormat.QDQ, _S8, QuantType.QInt16, extra_options={"UseQDQContribOps": True}
    ),
    "QDQ int4 weights": _static(
        QuantFormat.QDQ, QuantType.QInt4, _U8, per_channel=True, op_types_to_quantize=["Gemm", "MatMul"]
    ),
    "QOperator int8 per channel": _static(QuantFormat.QOperator, _S8, _U8, per_channel=True),
    "QOperator uint8": _static(QuantFormat.QOperator, _U8, _U8),
}


def _dynamic(weights: QuantType, **options: Any) -> Conversion:
    def convert(source: Path, target: Path, samples: np.ndarray) -> None:
        with tempfile.TemporaryDirectory() as folder:
            prepared = Path(folder) / "prepared.onnx"
            quant_pre_process(str(source), str(prepared))
            quantize_dynamic(str(prepared), str(target), weight_type=weights, **options)

    return convert


FORMATS |= {
    "dynamic int8": _dynamic(_S8, op_types_to_quantize=["MatMul", "Gemm"]),
    "dynamic uint8, Conv too": _dynamic(_U8),
}


def _weight_only(bits: int, block: int, symmetric: bool) -> Conversion:
    def convert(source: Path, target: Path, samples: np.ndarray) -> None:
        model = _gemm_as_matmul(onnx.load(source))
        quantizer = MatMulNBitsQuantizer(model, bits=bits, block_size=block, is_symmetric=symmetric)
        quantizer.process()
        quantizer.model.save_model_to_file(str(target))

    return convert


FORMATS |= {
    "MatMulNBits 4 bits": _weight_only(4, 16, True),
    "MatMulNBits 4 bits, zero points": _weight_only(4, 32, False),
    "MatMulNBits 8 bits": _weight_only(8, 32, True),
}


def _gemm_as_matmul(model: onnx.ModelProto) -> onnx.ModelProto:
    """Weight-only quantisation knows MatMul alone: every Gemm as MatMul and Add, as exporters of
    transformers write them."""
    tensors = {t.name: t for t in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        if node.op_type != "Gemm":
            nodes.append(node)
            continue
        x, w, b = node.input
        weight = numpy_helper.to_array(tensors[w])
        if any(a.name == "transB" and a.i for a in node.attribute):
            tensors[w].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(weight.T), w))
        product = f"{node.output[0]}.product"
        nodes.append(onnx.helper.make_node("MatMul", [x, w], [product], name=node.name))
        nodes.append(onnx.helper.make_node("Add", [product, b], list(node.output), name=f"{node.name}.bias"))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


@conversion("external data")
def outside(source: Path, target: Path, samples: np.ndarray) -> None:
    onnx.save(
        onnx.load(source),
        target,
        save_as_external_data=True,
        location=f"{target.name}.data",
        size_threshold=256,
    )


@conversion("external data, a file each")
def many_outside(source: Path, target: Path, samples: np.ndarray) -> None:
    model = onnx.load(source)
    onnx.save(model, target, save_as_external_data=True, all_tensors_to_one_file=False, size_threshold=256)
