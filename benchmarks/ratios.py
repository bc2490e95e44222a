"""How many times one pass forward things take: what can be told on any machine, however busy.

    python benchmarks/ratios.py

In seconds of CPU; both sides of a ratio take turns, and the fastest of several counts: what others do on the
machine slows single turns. Bounds are generous: beyond them something is broken, not slow. Fails where one is
exceeded. CI asks the same (tests/test_ratios.py).
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from onnxunlearn.engines.onnxruntime import OnnxRuntimeEngine
from onnxunlearn.graph import find_logits, load
from onnxunlearn.relevance import Propagator, parse_composite

SAMPLES = Path(__file__).parents[1] / "sample_models"
_REPEATS, _OFTEN, _BATCH = 5, 4, 36


@dataclass(frozen=True)
class Ratio:
    """name: of what, in passes forward or of what else. most: above which it is broken."""

    name: str
    found: float
    most: float

    def __str__(self) -> str:
        return f"{self.name}: {self.found:.1f} (at most {self.most:g})"


def fastest(first: Callable[[], object], second: Callable[[], object], repeats: int = _REPEATS) -> float:
    """How many times as long the second takes."""
    best = [float("inf"), float("inf")]
    for _ in range(repeats):
        for i, run in enumerate((first, second)):
            start = _spent()
            run()
            best[i] = min(best[i], _spent() - start)
    return best[1] / best[0]


def _spent() -> float:
    """Seconds of CPU of this process and of those it started."""
    return time.process_time() + sum(os.times()[2:4])


def relevance(name: str, rules: str, most: float) -> Ratio:
    """Relevance of a batch, the pass forward included."""
    model = load(SAMPLES / f"{name}.onnx")
    data = "fashion_probes" if name.startswith("fashion") else "mnist_probes"
    with np.load(SAMPLES / f"{data}.npz") as arrays:
        feeds = {model.inputs[0].name: arrays["x"][:_BATCH]}
    engine, logits = OnnxRuntimeEngine(threads=1), find_logits(model)
    session = engine.session(model.proto)
    targets = session.run(feeds)[logits.output].argmax(axis=1)
    propagator = Propagator(model, logits, engine, parse_composite(rules), list(feeds))

    def propagate() -> object:
        return list(propagator.run(feeds, targets, _BATCH))

    propagate()  # compiled before it is timed
    found = fastest(_often(lambda: session.run(feeds)), _often(propagate))
    return Ratio(f"relevance by {rules} on {name}, in passes forward", found, most)


def _often(run: Callable[[], object]) -> Callable[[], object]:
    """Several times in a row: what a turn costs by itself is little then."""
    return lambda: [run() for _ in range(_OFTEN)]


def command_line() -> Ratio:
    """What `--help` takes, in starts of Python with numpy."""
    plain = [sys.executable, "-c", "import numpy"]
    ours = [sys.executable, "-m", "onnxunlearn", "--help"]

    def run(command: list[str]) -> Callable[[], object]:
        return lambda: subprocess.run(command, check=True, capture_output=True, env={**os.environ})

    return Ratio("--help, in starts of Python with numpy", fastest(run(plain), run(ours), 3), 3)


def ratios() -> Iterator[Ratio]:
    """All of them."""
    yield relevance("mnist_resnet", "epsilon_plus", 30)
    yield relevance("mnist_resnet", "epsilon", 25)
    yield relevance("mnist_cnn", "epsilon_plus", 40)
    yield command_line()


def main() -> None:
    found = list(ratios())
    print("\n".join(map(str, found)))
    if any(ratio.found > ratio.most for ratio in found):
        raise SystemExit("a ratio is beyond its bound")


if __name__ == "__main__":
    main()
