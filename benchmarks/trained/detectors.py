"""Small detectors of scenes, trained; of each, and of each class asked for, a reference that never saw it.

    python -m trained.detectors [--data DIR] [-o DIR] [--without CLASS ...] [NAME ...]

In benchmarks/; five minutes a model on one slow core. Boxes come out in pixels.

yolo  sigmoid classes by 1×1 convolutions at two scales, boxes decoded, as YOLOv8 has them:
      [N, 4 + C, places], centre, size and classes
ssd   softmax with ground first, three priors a cell: scores [N, places, 1 + C], boxes [N, places, 4], corners
detr  25 queries, softmax with "no object" last: logits [N, 25, C + 1], boxes [N, 25, 4], centre and size from
      0 to 1; it converges slowly, and begins with the backbone of the ssd that was trained on the same scenes
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2] / "sample_models"))

from trained import scenes
from trained.detector_parts import SIZE
from trained.detr import Detr
from trained.one_stage import Ssd, Yolo

BATCH, COUNT, EPOCHS = 16, 2000, 12

DETECTORS: dict[str, tuple[Callable[[], Any], int, float, tuple[str, ...]]] = {
    "yolo": (Yolo, EPOCHS, 4e-3, ("output0",)),
    "ssd": (Ssd, EPOCHS, 3e-3, ("scores", "boxes")),
    "detr": (Detr, EPOCHS, 1e-3, ("logits", "pred_boxes")),
}


def train(name: str, shown: scenes.Scenes, seed: int, start: dict[str, Tensor] | None = None) -> nn.Module:
    """AdamW with one cycle of its rate; nothing is mirrored, as digits have a side.

    start: weights of a backbone to begin with.
    """
    torch.manual_seed(seed)
    build, epochs, rate, _ = DETECTORS[name]
    model = build()
    if start:
        model.backbone.load_state_dict(start)
    count = len(shown.images)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    steps = epochs * (count // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    targets = [
        (torch.from_numpy(b), torch.from_numpy(c)) for b, c in zip(shown.boxes, shown.classes, strict=True)
    ]
    pixels = torch.from_numpy(shown.images).permute(0, 3, 1, 2)
    for epoch in range(epochs):
        begun, total = time.perf_counter(), 0.0
        for chosen in torch.randperm(count)[: count // BATCH * BATCH].view(-1, BATCH):
            loss = model.loss(pixels[chosen].float() / 255, [targets[i] for i in chosen])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            optimizer.step()
            schedule.step()
            total += loss.item()
        mean, seconds = total / (count // BATCH), time.perf_counter() - begun
        print(f"{name} epoch {epoch + 1}: loss {mean:.3f}, {seconds:.0f} s", file=sys.stderr, flush=True)
    result: nn.Module = model.eval()
    return result


def export(model: nn.Module, path: Path, outputs: tuple[str, ...]) -> None:
    """As one file with input `images` [N, 3, 96, 96] from 0 to 1 and classes' names in its metadata."""
    import onnx
    from export import _strip_notes

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (torch.zeros(2, 3, SIZE, SIZE),),
            path,
            input_names=["images"],
            output_names=list(outputs),
            opset_version=17,
            dynamo=False,
            dynamic_axes={name: {0: "batch"} for name in ("images", *outputs)},
        )
    proto = onnx.load(path)
    _strip_notes(proto)
    names = dict(enumerate(scenes.NAMES))
    onnx.helper.set_model_props(proto, {"names": str(names)})
    onnx.save(proto, path)


def _backbone(path: Path) -> dict[str, Tensor]:
    """That of a trained detector."""
    stem = "backbone."
    return {k.removeprefix(stem): v for k, v in torch.load(path).items() if k.startswith(stem)}


def main() -> None:
    """Train what is named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(DETECTORS), metavar="NAME")
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / ".data")
    parser.add_argument("-o", "--output", type=Path, help="default: detectors in the folder of --data")
    parser.add_argument("--without", type=int, action="append", help="a reference without this class; repeat")
    parser.add_argument("--count", type=int, default=COUNT)
    options = parser.parse_args()
    output = options.output or options.data / "detectors"
    output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for without in options.without or [None]:
        shown = scenes.make(options.data, "train", options.count, SIZE, without=without)
        for name in options.names:
            suffix = "" if without is None else f".without{without}"
            model = train(name, shown, 0, _backbone(output / f"ssd{suffix}.pt") if name == "detr" else None)
            torch.save(model.state_dict(), output / f"{name}{suffix}.pt")
            export(model, output / f"{name}{suffix}.onnx", DETECTORS[name][3])
            print(f"{name}{suffix}: {np.sum([p.numel() for p in model.parameters()])} weights", flush=True)


if __name__ == "__main__":
    main()
