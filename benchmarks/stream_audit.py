"""An audit of many images of 224 × 224 pixels: seconds, and the most memory that it took.

    python benchmarks/stream_audit.py [--images 1000 --images 100000] [--keep DIR] [--json FILE]

The images: PNG files in one folder a class, each with a pattern of its own: stripes whose direction and width
are the class, of any colour and phase, with coarse noise over it. The model: two layers of random filters,
averaged, and a head that is fitted to 1,000 other such images. The edited model: what `onnxunlearn run` makes
of it by 200 more. All are made before, in processes of their own.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

SIDE, CLASSES, FORGET = 224, 10, 3
#: bytes the process may take on top of the model's
ALLOWED = 1_000_000_000
_DOWN, _ACROSS = np.mgrid[:SIDE, :SIDE].astype(np.float32)


def picture(seed: int, number: int) -> np.ndarray:
    """uint8 [SIDE, SIDE, 3], of class `number % CLASSES`."""
    rng = np.random.default_rng([seed, number])
    angle, width = np.pi * (number % CLASSES % 5) / 5, (9, 21)[number % CLASSES // 5]
    down, across = (float(f(angle)) * 2 * np.pi / width for f in (np.sin, np.cos))
    wave = np.sin(_DOWN * down + _ACROSS * across + rng.uniform(0, 7))
    colour = rng.uniform(0.4, 1, 3).astype(np.float32)
    noise = rng.uniform(-40, 40, (SIDE // 32, SIDE // 32, 3)).astype(np.float32)
    pixels = 128 + 60 * wave[..., None] * colour + noise.repeat(32, axis=0).repeat(32, axis=1)
    return np.asarray(pixels.clip(0, 255).astype(np.uint8))


def write_images(folder: Path, count: int, seed: int) -> None:
    """Those that are not there already."""
    for c in range(CLASSES):
        (folder / str(c)).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = folder / str(number % CLASSES) / f"{number:06}.png"
        if not path.exists():
            Image.fromarray(picture(seed, number)).save(path, compress_level=1)


def write_model(path: Path) -> None:
    """Input values are 0..1, channels first, as onnxunlearn makes them of images by default."""
    rng = np.random.default_rng(0)
    tensors = {
        "first.weight": rng.normal(size=(24, 3, 11, 11)) / 11,
        "second.weight": rng.normal(size=(48, 24, 3, 3)) / 15,
    }
    nodes = [
        helper.make_node("Conv", ["x", "first.weight"], ["a"], "first", strides=[4, 4]),
        helper.make_node("Relu", ["a"], ["b"], "first.relu"),
        helper.make_node("Conv", ["b", "second.weight"], ["c"], "second", strides=[2, 2]),
        helper.make_node("Relu", ["c"], ["d"], "second.relu"),
        helper.make_node("GlobalAveragePool", ["d"], ["e"], "pool"),
        helper.make_node("Flatten", ["e"], ["features"], "flatten"),
    ]
    save(path, nodes, tensors, "features", 48)
    session = onnxruntime.InferenceSession(path)
    y = np.arange(1000) % CLASSES
    x = (picture(1, i).transpose(2, 0, 1)[None].astype(np.float32) / 255 for i in range(len(y)))
    found = np.concatenate([session.run(None, {"x": one})[0] for one in x]).astype(np.float64)
    mean, spread = found.mean(axis=0), found.std(axis=0) + 1e-6
    f = (found - mean) / spread
    fitted = np.linalg.solve(f.T @ f + 0.1 * np.eye(48), f.T @ (np.eye(CLASSES)[y] - 0.1))
    weight = 20 * (fitted / spread[:, None]).T
    nodes.append(
        helper.make_node("Gemm", ["features", "head.weight", "head.bias"], ["logits"], "head", transB=1)
    )
    save(path, nodes, {**tensors, "head.weight": weight, "head.bias": -weight @ mean}, "logits", CLASSES)


def save(
    path: Path, nodes: list[onnx.NodeProto], tensors: dict[str, np.ndarray], output: str, size: int
) -> None:
    make = helper.make_tensor_value_info
    x = make("x", TensorProto.FLOAT, ["N", 3, SIDE, SIDE])
    y = make(output, TensorProto.FLOAT, ["N", size])
    stored = [numpy_helper.from_array(t.astype(np.float32), name) for name, t in tensors.items()]
    graph = helper.make_graph(nodes, "stripes", [x], [y], stored)
    made = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    path.write_bytes(made.SerializeToString())


def prepare(folder: Path, count: int) -> None:
    """Everything that an audit of so many images takes, written into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_images(folder / f"images{count}", count, 0)
    if not (folder / "stripes.onnx").exists():
        write_model(folder / "stripes.onnx")
        write_images(folder / "choosing", 200, 2)


def onnxunlearn(*arguments: str | int | Path) -> list[str]:
    return [sys.executable, "-c", "from onnxunlearn.cli import main; main()", *map(str, arguments)]


def measure(folder: Path, count: int) -> dict[str, float | int | str]:
    subprocess.run([sys.executable, __file__, "--keep", folder, "--prepare", str(count)], check=True)
    model, edited = folder / "stripes.onnx", folder / "edited.onnx"
    if not edited.exists():
        made = onnxunlearn(
            "run", model, "--forget", FORGET, "--data", folder / "choosing", "-o", edited, "-q"
        )
        if subprocess.run(made).returncode not in (0, 1):  # 1: done, but beyond a limit
            sys.exit("the model could not be edited")
    data = folder / f"images{count}"
    start = time.perf_counter()
    audit = onnxunlearn("audit", model, edited, "--forget", FORGET, "--data", data, "--json", "-q")
    process = subprocess.Popen(audit, stdout=subprocess.PIPE)
    assert process.stdout is not None
    said = json.loads(process.stdout.read())
    _, status, usage = os.wait4(process.pid, 0)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    rows = {row["name"]: row for row in said["rows"]}
    return {
        "images": count,
        "judged": said["judged"]["samples"],
        "copies": said["judged"]["copies"],
        "attacks: samples of the class": rows["relearn"]["values"]["edited"]["samples"],
        "forget before": said["figures"]["original"]["forget"],
        "forget after": said["figures"]["edited"]["forget"],
        "retain before": said["figures"]["original"]["retain"],
        "retain after": said["figures"]["edited"]["retain"],
        "sha256 of the images": said["data"]["judging"]["sha256"][:12],
        "all at once, bytes": count * 3 * SIDE * SIDE * 4,
        "model bytes": model.stat().st_size,
        "peak bytes": peak,
        "seconds": round(time.perf_counter() - start, 1),
        "cpu seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "exit code": os.waitstatus_to_exitcode(status),
    }


@click.command()
@click.option("--images", multiple=True, type=int, default=[1000, 100_000], show_default=True)
@click.option("--keep", type=click.Path(path_type=Path), help="Folder for the files, kept for another run.")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Also write the figures.")
@click.option("--prepare", "wanted", type=int, hidden=True)
def main(images: tuple[int, ...], keep: Path | None, path: Path | None, wanted: int | None) -> None:
    if wanted is not None:
        assert keep is not None
        prepare(keep, wanted)
        return
    with tempfile.TemporaryDirectory() as temporary:
        found = [measure(keep or Path(temporary), count) for count in images]
    for name in found[0]:
        values = (figures[name] for figures in found)
        print(f"{name:30}", *(f"{v:>18,}" if isinstance(v, int | float) else f"{v:>18}" for v in values))
    if path is not None:
        path.write_text(json.dumps(found, indent=2) + "\n")
    within = all(f["peak bytes"] <= f["model bytes"] + ALLOWED for f in found)  # type: ignore[operator]
    sys.exit(0 if within else 1)


if __name__ == "__main__":
    main()
