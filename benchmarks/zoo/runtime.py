"""Networks of the other families, rewritten by ONNX Runtime's tools (see `rewritten`)."""

from __future__ import annotations

from dataclasses import replace

from zoo import mobile, plain, residual, sequences, text, vision

#: a file for each; their fused and quantised ops differ
_CHOSEN = {
    "lenet", "vgg-bn", "resnet18", "mobilenet-v2", "mobilenet-v3", "lstm", "textcnn",
    "ViT-eager", "Bert-eager", "GPT2-eager", "DistilBert-eager",
}  # fmt: skip
ARCHITECTURES = [
    replace(architecture, dynamic=False)
    for module in (plain, residual, mobile, sequences, vision, text)
    for architecture in module.ARCHITECTURES
    if architecture.name in _CHOSEN
]
