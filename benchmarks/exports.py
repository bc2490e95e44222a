"""Whether heads are found in exports of the big families of detectors, with random weights.

    python benchmarks/exports.py [NAME ...]

transformers is needed (extra `hf`); ultralytics, an AGPL package that is no dependency, where it is there.
Prints a line for each: columns of classes, normaliser, background, heads, whether boxes are decoded.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from onnxunlearn.graph import load
from onnxunlearn.graph.places import find_detection
from onnxunlearn.lowering import lower

ULTRALYTICS = (
    *("yolov3-tiny", "yolov5n", "yolov6n", "yolov8n", "yolov8n-seg", "yolov8n-pose", "yolov8n-obb"),
    *("yolov9t", "yolov10n", "yolo11n", "yolo26n", "rtdetr-l"),
)
SIZE = 128
#: (name, network, names of outputs)
Case = tuple[str, Callable[[], nn.Module], tuple[str, ...]]


class Named(nn.Module):
    """A model of transformers with some of its outputs."""

    def __init__(self, model: nn.Module, outputs: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.outputs = model, outputs

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        said = self.model(pixel_values=x)
        return tuple(getattr(said, name) for name in self.outputs)


def transformers_cases() -> Iterator[Case]:
    """Tiny ones, of seven classes and twenty queries."""
    import transformers as hf

    narrow: dict[str, Any] = {
        "embedding_size": 16,
        "hidden_sizes": [16, 24, 32, 48],
        "depths": [1] * 4,
        "layer_type": "basic",
    }
    stages = {"out_features": ["stage2", "stage3", "stage4"]}
    last = hf.ResNetConfig(**narrow | {"out_features": ["stage4"]})
    three = hf.ResNetConfig(**narrow | stages)
    own = hf.RTDetrResNetConfig(**narrow | stages)
    decoder = {
        **{"d_model": 32, "decoder_layers": 2, "decoder_attention_heads": 2, "decoder_ffn_dim": 32},
        **{"encoder_attention_heads": 2, "encoder_ffn_dim": 32, "num_queries": 20, "num_labels": 7},
    }
    plain: dict[str, Any] = {
        **{"use_timm_backbone": False, "use_pretrained_backbone": False, "backbone": None},
        **{"encoder_layers": 1, **decoder},
    }
    hybrid: dict[str, Any] = {
        **{"backbone_config": own, "encoder_in_channels": [24, 32, 48], "encoder_hidden_dim": 32},
        **{"decoder_in_channels": [32] * 3, "anchor_image_size": [SIZE, SIZE], **decoder},
    }
    yolos: dict[str, Any] = {
        **{"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32},
        **{"image_size": [SIZE, SIZE], "num_detection_tokens": 20, "num_labels": 7},
    }
    outputs = ("logits", "pred_boxes", "last_hidden_state")
    for name, config, model, options in (
        ("detr", hf.DetrConfig, hf.DetrForObjectDetection, {**plain, "backbone_config": last}),
        (
            "conditional-detr",
            hf.ConditionalDetrConfig,
            hf.ConditionalDetrForObjectDetection,
            {**plain, "backbone_config": last},
        ),
        (
            "deformable-detr",
            hf.DeformableDetrConfig,
            hf.DeformableDetrForObjectDetection,
            {**plain, "backbone_config": three, "num_feature_levels": 3},
        ),
        ("yolos", hf.YolosConfig, hf.YolosForObjectDetection, yolos),
        ("rt-detr", hf.RTDetrConfig, hf.RTDetrForObjectDetection, hybrid),
        ("rt-detr-v2", hf.RTDetrV2Config, hf.RTDetrV2ForObjectDetection, hybrid),
        ("d-fine", hf.DFineConfig, hf.DFineForObjectDetection, hybrid),
    ):
        yield name, lambda c=config, m=model, o=options: Named(m(c(**o)), outputs), outputs  # type: ignore[misc]


def ultralytics_cases() -> Iterator[Case]:
    """The smallest of each generation, without weights; none where the package is not there."""
    try:
        from ultralytics import RTDETR, YOLO  # type: ignore[import-not-found]
    except Exception as error:  # what a package that does not fit torch raises on import is not one family
        print(f"ultralytics: not tried ({error})", file=sys.stderr)
        return

    def build(name: str) -> nn.Module:
        network: nn.Module = (RTDETR if name.startswith("rtdetr") else YOLO)(f"{name}.yaml").model
        for module in network.modules():
            if hasattr(module, "export"):
                module.export, module.format, module.dynamic = True, "onnx", False  # type: ignore[assignment]
        return network

    for name in ULTRALYTICS:
        yield name, lambda n=name: build(n), ("output0",)  # type: ignore[misc]


def found_in(build: Callable[[], nn.Module], outputs: tuple[str, ...], folder: Path) -> str:
    """What is found in an export, in a line."""
    torch.manual_seed(0)
    path, network = folder / "model.onnx", build().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.rand(1, 3, SIZE, SIZE),),
            path,
            input_names=["images"],
            output_names=list(outputs) if len(outputs) > 1 else None,
            opset_version=17,
            dynamo=False,
        )
    found = find_detection(lower(load(path)))
    if found is None:
        return "not found"
    places = found.places
    ground = "no background" if places.background is None else f"background {places.background}"
    boxes = "boxes decoded" if found.decoded else "boxes not decoded"
    return f"{places.classes} columns, {places.normaliser}, {ground}, {len(places.heads)} heads, {boxes}"


def main() -> None:
    """All, or those that are named."""
    logging.disable(logging.WARNING)
    wanted = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        for cases in (transformers_cases, ultralytics_cases):
            for name, build, outputs in cases():
                if not wanted or name in wanted:
                    print(f"{name}: {found_in(build, outputs, Path(folder))}", flush=True)


if __name__ == "__main__":
    main()
