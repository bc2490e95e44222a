"""Whether the heads of the big families of segmenters and taggers are found, as torch's two exporters write
them: with random weights, tiny.

    python benchmarks/place_heads.py

Needs the extras `dev` and `hf`.
"""

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn

from onnxunlearn.graph import class_rows, load
from onnxunlearn.graph.places import at_places
from onnxunlearn.inquiry.placing import places_of
from onnxunlearn.lowering import lower


class Logits(nn.Module):
    """Scores alone; enlarged: to the image's size, and the class of each pixel."""

    def __init__(self, model: nn.Module, *, enlarged: bool = False) -> None:
        super().__init__()
        self.model, self.enlarged = model, enlarged

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """An image, or token numbers and their mask."""
        logits: torch.Tensor = self.model(*inputs).logits
        if self.enlarged:
            return nn.functional.interpolate(logits, scale_factor=4.0, mode="bilinear").argmax(1)
        return logits


def _labels(count: int) -> dict[str, Any]:
    """What each configuration takes, and its signature does not say."""
    return {"num_labels": count}


def families() -> Iterator[tuple[str, nn.Module, tuple[torch.Tensor, ...]]]:
    """Name, model, inputs."""
    image = torch.randn(1, 3, 64, 64)
    tokens = torch.randint(0, 90, (1, 12)), torch.ones(1, 12, dtype=torch.int64)
    size: dict[str, Any] = {
        "hidden_sizes": [8, 16, 16, 16],
        "depths": [1] * 4,
        "num_attention_heads": [1] * 4,
    }
    segformer = transformers.SegformerForSemanticSegmentation(
        transformers.SegformerConfig(**size, decoder_hidden_size=16, **_labels(7))
    )
    yield "SegFormer", Logits(segformer), (image,)
    yield "SegFormer, enlarged, ArgMax", Logits(segformer, enlarged=True), (image,)
    mobile = transformers.MobileNetV2Config(depth_multiplier=0.35, **_labels(6))
    yield (
        "DeepLabV3+ (MobileNetV2)",
        Logits(transformers.MobileNetV2ForSemanticSegmentation(mobile)),
        (image,),
    )
    vit = transformers.MobileViTConfig(
        hidden_sizes=[16] * 3, neck_hidden_sizes=[8, 8, 16, 16, 16, 16, 32], **_labels(6)
    )
    yield "DeepLabV3 (MobileViT)", Logits(transformers.MobileViTForSemanticSegmentation(vit)), (image,)
    common: dict[str, Any] = {"vocab_size": 100, "num_labels": 5, "attn_implementation": "eager"}
    small = transformers.DistilBertConfig(dim=16, n_layers=1, n_heads=2, hidden_dim=32, **common)
    yield "DistilBERT", Logits(transformers.DistilBertForTokenClassification(small)), tokens
    bert = transformers.BertConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, **common
    )
    yield "BERT", Logits(transformers.BertForTokenClassification(bert)), tokens


def main() -> None:
    """A line for each family and exporter."""
    warnings.filterwarnings("ignore")
    torch.manual_seed(0)
    for name, model, inputs in families():
        for dynamo in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "model.onnx"
                torch.onnx.export(model.eval(), inputs, file, opset_version=18, dynamo=dynamo, verbose=False)
                seen = lower(load(file))
                found = places_of(seen)
                assert found is not None, name
                view = at_places(seen, found)
                plain = class_rows(view.model, view.logits).plain
                by = "dynamo" if dynamo else "TorchScript"
                behind = ", ".join(found.behind) or "nothing behind"
                rows = "row by row" if plain else "not row by row"
                print(
                    f"{name}, {by}: {found.task}, {found.classes} classes, {found.heads[0]} {rows}, {behind}"
                )


if __name__ == "__main__":
    main()
