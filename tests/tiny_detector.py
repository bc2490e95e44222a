"""A detector of coloured squares, trained in a second or two, and images of these."""

from __future__ import annotations

import json
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper
from PIL import Image
from torch import nn

SIZE, STRIDE = 32, 4
COLOURS = ((220, 40, 40), (40, 220, 40), (60, 60, 230))
NAMES = ("red", "green", "blue")


def squares(count: int, seed: int) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """Images uint8 [N, 32, 32, 3] with one to three squares, boxes [n, 4] and classes [n] of each."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (count, SIZE, SIZE, 3), np.uint8)
    boxes, classes = [], []
    for image in images:
        own = []
        for left in rng.permutation([0, 11, 22])[: rng.integers(1, 4)]:
            side, top = int(rng.integers(7, 10)), int(rng.integers(2, SIZE - 12))
            label = int(rng.integers(3))
            image[top : top + side, left : left + side] = COLOURS[label]
            own.append((left, top, left + side, top + side, label))
        table = np.array(own)
        boxes.append(table[:, :4].astype(np.float32))
        classes.append(table[:, 4])
    return images, boxes, classes


def as_inputs(images: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32) / np.float32(255)


def write(folder: Path, count: int, seed: int) -> Path:
    """A folder of images with annotations in COCO's form."""
    (folder / "images").mkdir(parents=True)
    images, boxes, classes = squares(count, seed)
    entries: list[dict[str, Any]] = []
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / "images" / f"{i:03d}.png")
        for box, label in zip(boxes[i].tolist(), classes[i].tolist(), strict=True):
            sides = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
            entries.append({"id": len(entries) + 1, "image_id": i, "category_id": label, "bbox": sides})
    content = {
        "images": [{"id": i, "file_name": f"{i:03d}.png"} for i in range(count)],
        "annotations": entries,
        "categories": [{"id": i, "name": name} for i, name in enumerate(NAMES)],
    }
    (folder / "annotations.json").write_text(json.dumps(content))
    return folder


class Tiny(nn.Module):
    """Sigmoid classes and distances to the sides at 8 × 8 places: [N, 4 + 3, 64]."""

    centres: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(),
            nn.Conv2d(16, 16, 3, 1, 1), nn.ReLU(),
        )  # fmt: skip
        self.box = nn.Conv2d(16, 4, 1)
        self.classes = nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1), nn.ReLU(), nn.Conv2d(16, 3, 1))
        along = (torch.arange(SIZE // STRIDE) + 0.5) * STRIDE
        y, x = torch.meshgrid(along, along, indexing="ij")
        self.register_buffer("centres", torch.stack([x, y]).flatten(1)[None])

    def raw(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = self.body(x)
        return nn.functional.softplus(self.box(found)).flatten(2) * STRIDE, self.classes(found).flatten(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        sides, logits = self.raw(x)
        corners = torch.cat([self.centres - sides[:, :2], self.centres + sides[:, 2:]], 1)
        return torch.cat([corners, logits.sigmoid()], 1)


class Choosing(nn.Module):
    """The detector with its best five boxes chosen in the graph, as RT-DETR of ultralytics has them: [N, 5,
    4 + 1 + 1], box, score and class."""

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        boxes, scores = self.detector(x).transpose(1, 2).split((4, len(NAMES)), 2)
        best, place = scores.flatten(1).topk(5)
        chosen = boxes.gather(1, (place // len(NAMES))[..., None].expand(-1, -1, 4))
        return torch.cat([chosen, best[..., None], (place % len(NAMES))[..., None].float()], 2)


def suppressing() -> bytes:
    """The detector with boxes and scores as outputs of their own, and those that NonMaxSuppression keeps."""
    proto = onnx.load_from_string(trained())
    graph, said = proto.graph, proto.graph.output[0].name
    numbers: dict[str, Any] = {"parts": np.array([4, 3]), "most": np.array([10])}
    numbers |= {name: np.array([v], np.float32) for name, v in (("overlap", 0.6), ("least", 0.25))}
    graph.initializer.extend(onnx.numpy_helper.from_array(v, name) for name, v in numbers.items())
    chosen = ["boxes", "scores", "most", "overlap", "least"]
    graph.node.extend(
        [
            helper.make_node("Split", [said, "parts"], ["sides", "scores"], axis=1),
            helper.make_node("Transpose", ["sides"], ["boxes"], perm=[0, 2, 1]),
            helper.make_node("NonMaxSuppression", chosen, ["selected"]),
        ]
    )
    del graph.output[:]
    shapes: dict[str, list[str | int | None]] = {"boxes": ["batch", 64, 4], "scores": ["batch", 3, 64]}
    floats = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s) for n, s in shapes.items()]
    graph.output.extend(
        [*floats, helper.make_tensor_value_info("selected", onnx.TensorProto.INT64, [None, 3])]
    )
    return proto.SerializeToString()


def trained() -> bytes:
    """The detector's file."""
    return exported(network())


@cache
def network() -> Tiny:
    """Trained."""
    torch.manual_seed(0)
    images, boxes, classes = squares(400, 0)
    x, model = torch.from_numpy(as_inputs(images)), Tiny()
    centres = model.centres[0].T.numpy()
    wanted, sides = np.zeros((400, 3, 64), np.float32), np.zeros((400, 4, 64), np.float32)
    for i, (own, labels) in enumerate(zip(boxes, classes, strict=True)):
        for box, label in zip(own, labels, strict=True):
            near = (np.abs(centres - (box[:2] + box[2:]) / 2) < STRIDE).all(axis=1)
            wanted[i, label, near] = 1
            sides[i, :, near] = np.concatenate([centres[near] - box[:2], box[2:] - centres[near]], axis=1)
    target, truth, there = torch.from_numpy(wanted), torch.from_numpy(sides), torch.from_numpy(wanted.max(1))
    optimizer = torch.optim.Adam(model.parameters(), 8e-3)
    for step in range(240):
        chosen = torch.arange(32) + 32 * (step % 12)
        found, logits = model.raw(x[chosen])
        spoken = nn.functional.binary_cross_entropy_with_logits(logits, target[chosen])
        off = ((found - truth[chosen]).abs().mean(1) * there[chosen]).sum() / there[chosen].sum()
        optimizer.zero_grad()
        (30 * spoken + off).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model.eval()


@cache
def exported(model: nn.Module, outputs: tuple[str, ...] = ("output0",)) -> bytes:
    """As a file."""
    buffer = BytesIO()
    torch.onnx.export(
        model,
        (torch.zeros(2, 3, SIZE, SIZE),),
        buffer,  # type: ignore[arg-type]
        input_names=["images"],
        output_names=list(outputs),
        opset_version=17,
        dynamo=False,
        dynamic_axes={name: {0: "batch"} for name in ("images", *outputs)},
    )
    return buffer.getvalue()
