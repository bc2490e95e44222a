"""A model of 2.5 GB, weights in a data file, through `onnxunlearn run`: seconds, and the most memory it took.

    python benchmarks/big_model.py [--gigabytes 2.5] [--half] [--json FILE] [--keep DIR]

--half: all of it, inputs and outputs too, is float16.

The model: a random projection of MNIST images, residual blocks of two large random layers each, and a head
that is fitted to 500 images of the test split. A protobuf may not exceed 2 GB, so nothing on the way may hold
the model as one message; and nothing may hold it twice.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

SAMPLES = Path(__file__).parents[1] / "sample_models"
WIDTH, HIDDEN = 4096, 8192
#: bytes the process may take on top of the model's
ALLOWED = 1_500_000_000


class Weights:
    """A data file that grows tensor by tensor, so that no more than one is held in memory."""

    def __init__(self, path: Path, kind: np.dtype[Any]) -> None:
        self._file = open(path, "wb")  # noqa: SIM115  # closed by `close`
        self.kind = kind
        self.tensors: list[onnx.TensorProto] = []

    def add(self, name: str, values: np.ndarray) -> str:
        self._file.seek(-(-self._file.tell() // 4096) * 4096)  # runtimes map files by pages
        values = values.astype(self.kind)
        tensor = onnx.TensorProto(
            name=name,
            dims=values.shape,
            data_type=helper.np_dtype_to_tensor_dtype(self.kind),
            data_location=TensorProto.EXTERNAL,
        )
        entries = {
            "location": Path(self._file.name).name,
            "offset": self._file.tell(),
            "length": values.nbytes,
        }
        for key, value in entries.items():
            tensor.external_data.add(key=key, value=str(value))
        self._file.write(values.tobytes())
        self.tensors.append(tensor)
        return name

    def close(self) -> None:
        self._file.close()


def build(path: Path, size: float, kind: np.dtype[Any]) -> None:
    """Write the model at `path`, `size` bytes or a block more; kind: of all its tensors."""
    rng = np.random.default_rng(0)
    weights = Weights(path.with_name(f"{path.name}.data"), kind)
    nodes = [helper.make_node("Flatten", ["x"], ["flat"], name="flatten")]

    def dense(x: str, inputs: int, outputs: int, name: str, gain: float) -> str:
        w = rng.standard_normal((inputs, outputs), np.float32) * np.float32(gain / np.sqrt(inputs))
        nodes.append(helper.make_node("MatMul", [x, weights.add(f"{name}.weight", w)], [name], name=name))
        return name

    h = dense("flat", 784, WIDTH, "stem", 1)
    for block in range(max(1, math.ceil(size / (2 * kind.itemsize * WIDTH * HIDDEN)))):
        inner = dense(h, WIDTH, HIDDEN, f"block{block}.up", 1)
        nodes.append(helper.make_node("Relu", [inner], [f"{inner}.relu"], name=f"{inner}.relu"))
        branch = dense(f"{inner}.relu", HIDDEN, WIDTH, f"block{block}.down", 0.5)
        nodes.append(helper.make_node("Add", [h, branch], [f"block{block}"], name=f"block{block}.add"))
        h = f"block{block}"
    weights.close()
    fit_head(path, nodes, weights, h)


def fit_head(path: Path, nodes: list[onnx.NodeProto], weights: Weights, features: str) -> None:
    """Ridge regression of one-hot labels on the features, as the last layer."""
    kind, tensors = weights.kind, weights.tensors
    save(path, nodes, tensors, features, WIDTH, kind)
    with np.load(SAMPLES / "mnist_test.npz") as archive:
        x, y = archive["x"][::4].astype(kind), archive["y"][::4]
    session = onnxruntime.InferenceSession(path)
    parts = [session.run(None, {"x": x[i : i + 50]})[0] for i in range(0, len(x), 50)]
    f = np.concatenate(parts).astype(np.float32)
    scale = np.float32(1 / f.std())
    f = f * scale
    wanted = np.eye(10, dtype=np.float32)[y]
    gram = f @ f.T + np.float32(0.1 * f.shape[1]) * np.eye(len(f), dtype=np.float32)
    head = f.T @ np.linalg.solve(gram, wanted - 0.1) * scale * 10
    stored = [onnx.numpy_helper.from_array(head.T.astype(kind), "head.weight")]
    stored.append(onnx.numpy_helper.from_array(np.zeros(10, kind), "head.bias"))
    nodes.append(
        helper.make_node("Gemm", [features, "head.weight", "head.bias"], ["logits"], "head", transB=1)
    )
    save(path, nodes, [*tensors, *stored], "logits", 10, kind)


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    tensors: list[onnx.TensorProto],
    output: str,
    size: int,
    kind: np.dtype[Any],
) -> None:
    make, element = helper.make_tensor_value_info, helper.np_dtype_to_tensor_dtype(kind)
    x, y = make("x", element, ["N", 1, 28, 28]), make(output, element, ["N", size])
    graph = helper.make_graph(nodes, "big", [x], [y], tensors)
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    path.write_bytes(model.SerializeToString())


def measure(folder: Path, size: float, half: bool, method: str) -> dict[str, float | int | bool]:
    """Build, run, and compare what the run took with what the model has."""
    folder.mkdir(parents=True, exist_ok=True)
    model, out = folder / "big.onnx", folder / "big.unlearned.onnx"
    if not model.exists():
        # In another process: what it takes must not count.
        again = [sys.executable, __file__, "--build", str(model), "--gigabytes", str(size / 1e9)]
        subprocess.run([*again, *(["--half"] if half else [])], check=True)
    total = sum(p.stat().st_size for p in (model, model.with_name("big.onnx.data")))
    program = "from onnxunlearn.cli import main; main()"
    command = [sys.executable, "-c", program, "run", str(model), "--forget", "3", "-o", str(out)]
    command += ["--data", str(SAMPLES / "mnist_probes.npz"), "--method", method, "--overwrite"]
    start = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    report = json.loads(out.with_suffix(".report.json").read_text())
    return {
        "model bytes": total,
        "peak bytes": peak,
        "beyond the model": peak - total,
        "seconds": round(seconds, 1),
        "cpu seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "exit code": os.waitstatus_to_exitcode(status),
        "forget before": report["figures"]["original"]["forget"],
        "forget after": report["figures"]["edited"]["forget"],
        "retain before": report["figures"]["original"]["retain"],
        "retain after": report["figures"]["edited"]["retain"],
        "within limit": peak <= total + ALLOWED,
    }


@click.command()
@click.option("--gigabytes", default=2.5, show_default=True)
@click.option("--half", is_flag=True, help="In float16.")
@click.option("--method", default="auto", show_default=True)
@click.option("--keep", type=click.Path(path_type=Path), help="Folder for the models, kept for another run.")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Also write the figures.")
@click.option("--build", "target", type=click.Path(path_type=Path), hidden=True)
def main(
    gigabytes: float, half: bool, method: str, keep: Path | None, path: Path | None, target: Path | None
) -> None:
    if target is not None:
        build(target, gigabytes * 1e9, np.dtype(np.float16 if half else np.float32))
        return
    with tempfile.TemporaryDirectory() as temporary:
        figures = measure(keep or Path(temporary), gigabytes * 1e9, half, method)
    for name, value in figures.items():
        print(f"{name:18} {value:>16,}")
    if path is not None:
        path.write_text(json.dumps(figures, indent=2) + "\n")
    sys.exit(0 if figures["within limit"] else 1)


if __name__ == "__main__":
    main()
