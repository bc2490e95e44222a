"""A batch of tiny requests, killed outright at random moments and resumed: is each done, and none twice?

python benchmarks/killed_batch.py [REQUESTS] [WORKERS]     # default: 200, 2
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

#: features, hidden neurons, classes, samples
_SIZES = (20, 32, 6, 120)


@dataclass
class Told:
    """What came of it. counts: of outcomes, by the index. began: by request, how often. twice: requests that
    began again after they were done, or whose files were written again."""

    counts: dict[str, int]
    began: Counter[str]
    twice: list[str] = field(default_factory=list)
    seconds: float = 0.0
    killed_at: list[int] = field(default_factory=list)


def make(folder: Path, count: int) -> Path:
    """Tiny models, a sixth as many as requests, with probes; the file of requests, each class of each
    model."""
    rng = np.random.default_rng(0)
    features, hidden, classes, samples = _SIZES
    x = rng.normal(size=(samples, features)).astype(np.float32)
    np.savez(folder / "probes.npz", x=x)
    lines = ["defaults: {data: probes.npz, method: mask, engine: numpy}", "requests:"]
    for number in range(count):
        model = folder / f"device{number // classes}.onnx"
        if not model.exists():
            model.write_bytes(_network(rng, x, hidden, classes))
        lines.append(f"  - {{model: {model.name}, forget: {number % classes}}}")
    requests = folder / "requests.yaml"
    requests.write_text("\n".join(lines) + "\n")
    return requests


def run(folder: Path, requests: Path, *, workers: int, kills: int, chance: random.Random) -> Told:
    """Start the batch in `folder`/out, kill it `kills` times and resume it as often."""
    out = folder / "out"
    command = [sys.executable, "-m", "onnxunlearn", "batch", str(requests), "-o", str(out), "--resume", "-q"]
    command += ["--workers", str(workers)]
    count = requests.read_text().count("forget:")
    start = time.perf_counter()
    seen: dict[str, tuple[int, int]] = {}
    changed: list[str] = []
    killed_at = []
    for _ in range(kills):
        process = subprocess.Popen(command)
        at = len(_done(out)) + chance.randrange(1, max(2, count // (kills + 1)))
        while len(_done(out)) < at and process.poll() is None:
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
        now = _done(out)
        killed_at.append(len(now))
        changed += [name for name, state in seen.items() if now.get(name) != state]
        seen = now
    subprocess.run(command, check=False)
    seconds = time.perf_counter() - start
    now = _done(out)
    changed += [name for name, state in seen.items() if now.get(name) != state]
    began, again = _journal(out)
    counts = json.loads((out / "index.json").read_text())["counts"]
    return Told(counts, began, sorted({*changed, *again}), seconds, killed_at)


def _done(out: Path) -> dict[str, tuple[int, int]]:
    """Which files the records are, by request; failures are none, they are tried again."""
    found = {}
    for record in out.glob("*/record.json"):
        if '"outcome": "failed"' not in record.read_text():
            stat = os.stat(record)
            found[record.parent.name] = stat.st_ino, stat.st_mtime_ns
    return found


def _journal(out: Path) -> tuple[Counter[str], list[str]]:
    began: Counter[str] = Counter()
    done: set[str] = set()
    again = []
    for line in (out / "journal.jsonl").read_text().splitlines():
        entry = json.loads(line)
        name = entry["request"]
        if entry["what"] == "began" and name:
            began[name] += 1
            again += [name] if name in done else []
        elif name and entry["what"] != "failed":  # a failure is tried again
            done.add(name)
    return began, again


def _network(rng: np.random.Generator, x: np.ndarray, hidden: int, classes: int) -> bytes:
    """x [N, features] → Gemm, Relu, Gemm → logits [N, classes], each class as often the largest, about."""
    features = x.shape[1]
    nodes = [
        helper.make_node("Gemm", ["x", "v", "b"], ["a"], name="hidden"),
        helper.make_node("Relu", ["a"], ["z"]),
        helper.make_node("Gemm", ["z", "w", "c"], ["logits"], name="head"),
    ]
    shapes = {"v": (features, hidden), "b": (hidden,), "w": (hidden, classes), "c": (classes,)}
    weights = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    logits = np.maximum(x @ weights["v"] + weights["b"], 0) @ weights["w"]
    weights["c"] = -logits.mean(axis=0)
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", features])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", classes])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )
    model: onnx.ModelProto = helper.make_model(
        graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]
    )
    return model.SerializeToString()


def main(count: int = 200, workers: int = 2) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        told = run(folder, make(folder, count), workers=workers, kills=3, chance=random.Random())
    again = sum(told.began.values()) - len(told.began)
    print(f"{count} requests, {workers} workers: {told.seconds:.0f} s; {told.counts}")
    print(
        f"killed when {', '.join(map(str, told.killed_at))} were done; {again} of those at work began again"
    )
    print(f"done twice: {', '.join(told.twice) or 'none'}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
