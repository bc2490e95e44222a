"""How memory grows with probes: little, as no more than some of them are held."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from onnxunlearn.engines import create_engine

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the peak is not to be had on this system"
)

CLASSES, SIDE = 4, 96

#: what a process inherits from the one that started it counts in `ru_maxrss`
_RUN = """
import re, sys
from pathlib import Path
from onnxunlearn import unlearn
unlearn(sys.argv[1], 1, sys.argv[2], method="erase", parameters={"steps": 2})
print(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def _probes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise of a colour that says the class."""
    rng, y = np.random.default_rng(0), np.arange(count) % CLASSES
    colours = rng.normal(size=(CLASSES, 3, 1, 1))
    return (colours[y] + rng.normal(size=(count, 3, SIDE, SIDE))).astype(np.float32), y


def _network(path: Path) -> None:
    """Three convolutions of random weights, and a head that knows the colours."""
    rng, weights = np.random.default_rng(1), {}
    for name, shape in (("a", (16, 3, 3, 3)), ("b", (32, 16, 3, 3)), ("c", (32, 32, 3, 3))):
        weights[name] = (rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
    node, info, nodes = helper.make_node, helper.make_tensor_value_info, []
    for i, name in enumerate(weights):
        given = "x" if not i else f"r{i}"
        nodes.append(node("Conv", [given, name], [f"c{i + 1}"], strides=[2, 2], pads=[1, 1, 1, 1]))
        nodes.append(node("Relu", [f"c{i + 1}"], [f"r{i + 1}"]))
    nodes += [node("GlobalAveragePool", ["r3"], ["p"]), node("Flatten", ["p"], ["f"])]
    inputs = [info("x", onnx.TensorProto.FLOAT, ["n", 3, SIDE, SIDE])]

    def model(output: str, width: int) -> onnx.ModelProto:
        held = [numpy_helper.from_array(value, name) for name, value in weights.items()]
        outputs = [info(output, onnx.TensorProto.FLOAT, ["n", width])]
        graph = helper.make_graph(nodes, "small", inputs, outputs, held)
        return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])

    x, y = _probes(40)
    features = create_engine().session(model("f", 32)).run({"x": x})["f"]
    means = np.stack([features[y == c].mean(axis=0) for c in range(CLASSES)])
    apart = means - means.mean(axis=0)
    weights["w"] = (100 * apart.T).astype(np.float32)
    weights["bias"] = (-50 * (means**2 - means.mean(axis=0) ** 2).sum(axis=1)).astype(np.float32)
    nodes.append(node("Gemm", ["f", "w", "bias"], ["y"]))
    onnx.save(model("y", CLASSES), path)


def _peak(folder: Path, count: int) -> tuple[float, int]:
    """MiB of a run, and bytes of its probes."""
    x, y = _probes(count)
    data = folder / f"{count}.npz"
    np.savez(data, x=x, y=y)
    command = [sys.executable, "-c", _RUN, str(folder / "small.onnx"), str(data)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return int(done.stdout.split()[-1]) / 2**10, x.nbytes


def test_three_times_the_probes_take_little_more_than_they_are_large(tmp_path: Path) -> None:
    """0.6 times as much, 2.0 times when they were held twice, and what enters the last layers besides."""
    _network(tmp_path / "small.onnx")
    (few, one), (many, other) = (_peak(tmp_path, count) for count in (400, 1200))
    assert (many - few) * 2**20 < 1.3 * (other - one)
