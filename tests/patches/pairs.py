"""Small models before and after an edit, as files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnxunlearn.graph import Edited, load
from onnxunlearn.patches import Patch, make_patch

Edit = Callable[[np.ndarray], np.ndarray]


def slightly(weights: np.ndarray) -> np.ndarray:
    """A third of the rows moved by a hundredth, one row gone."""
    edited = weights.copy()
    edited[::3] *= 1 + 0.01 * np.random.default_rng(1).standard_normal(edited[::3].shape)
    edited[1] = 0
    return edited


def tiny(seed: int = 0) -> onnx.ModelProto:
    rng = np.random.default_rng(seed)
    weights = {
        name: numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name)
        for name, shape in (("w", (30, 20)), ("v", (8, 30)))
    }
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["h"], transB=1),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "v"], ["y"], transB=1),
    ]
    values = (
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", size])
        for name, size in (("x", 20), ("y", 8))
    )
    x, y = values
    graph = helper.make_graph(nodes, "tiny", [x], [y], list(weights.values()))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def pair(
    folder: Path, *, files: int = 0, edit: Edit = slightly, out: str = "m.edited.onnx"
) -> tuple[Path, Path]:
    """`m.onnx` and its edited model. files: how many data files the weights lie in, at most 2."""
    original = folder / "m.onnx"
    proto = tiny()
    if files:
        names = {"location": "m.onnx.data"} if files == 1 else {"all_tensors_to_one_file": False}
        onnx.save(proto, original, save_as_external_data=True, size_threshold=0, **names)
    else:
        onnx.save(proto, original)
    model = load(original)
    edits = {name: edit(np.array(model.array(name))) for name in ("w", "v")}
    edited = folder / out
    Edited.of(model, edits).save(edited)
    return original, edited


def patch_of(original: Path, edited: Path) -> Patch:
    """As an applier reads it."""
    return Patch.from_bytes(make_patch(load(original), load(edited)).to_bytes())


def files_of(model: Path) -> list[Path]:
    """A model's file and its data files."""
    loaded = load(model)
    locations = {e.value for t in loaded.graph.initializer for e in t.external_data if e.key == "location"}
    return [model, *(model.parent / name for name in sorted(locations))]
