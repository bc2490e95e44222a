"""Bytes that cross between the host's arrays and the engine's sessions during one run, forward and backward.

python benchmarks/traffic.py [--method erase] [--model sample_models/mnist_cnn.onnx]
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from onnxunlearn import unlearn
from onnxunlearn.engines.onnxruntime import OnnxRuntimeSession
from onnxunlearn.engines.onnxruntime_tensor import OrtTensor
from onnxunlearn.engines.tensor import Tensor, Values

ROOT = Path(__file__).parents[1] / "sample_models"


def counted(counts: Counter[str]) -> None:
    """Every session of ONNX Runtime counts: runs, bytes of arrays that go in, bytes that are copied out."""
    run, compute, numpy = OnnxRuntimeSession.run, OnnxRuntimeSession.compute, OrtTensor.numpy
    of = OrtTensor.of.__func__  # type: ignore[attr-defined]

    def counting_run(self: Any, feeds: Values, outputs: Any = None) -> dict[str, np.ndarray]:
        values = run(self, feeds, outputs)
        arrays = [value for value in feeds.values() if isinstance(value, np.ndarray)]
        if len(arrays) == len(feeds):  # else `compute` ran it
            counts["runs"] += 1
            counts["in"] += sum(value.nbytes for value in arrays)
            counts["out"] += sum(value.nbytes for value in values.values())
        return values

    def counting_compute(self: Any, feeds: Values, outputs: Any = None) -> dict[str, Tensor]:
        counts["runs"] += 1
        return compute(self, feeds, outputs)

    def counting_of(cls: Any, array: np.ndarray, device: str) -> OrtTensor:
        counts["in"] += array.nbytes
        return of(cls, array, device)

    def counting_numpy(self: Any) -> np.ndarray:
        value = numpy(self)
        counts["out"] += value.nbytes
        return value

    OnnxRuntimeSession.run = counting_run  # type: ignore[method-assign]
    OnnxRuntimeSession.compute = counting_compute  # type: ignore[method-assign]
    OrtTensor.numpy = counting_numpy  # type: ignore[method-assign]
    OrtTensor.of = classmethod(counting_of)  # type: ignore[method-assign, assignment]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", default="erase")
    parser.add_argument("--model", type=Path, default=ROOT / "mnist_cnn.onnx")
    parser.add_argument("--data", type=Path, default=ROOT / "mnist_probes.npz")
    parser.add_argument("--forget", type=int, default=3)
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    counted(counts)
    unlearn(options.model, options.forget, options.data, method=options.method)
    print(json.dumps({"model": options.model.name, "method": options.method, **counts}))


if __name__ == "__main__":
    main()
