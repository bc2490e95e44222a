"""What others make of images: transformers' processors for Pillow and for torchvision, and timm.

    pip install transformers==5.24.0 torchvision==0.28.0 timm==1.0.31
    python -m tests.reference.preprocessing.make_reference

Writes images.npz and outputs.npz: "kind/class/case/image" -> [C, ...], of the lattice in `processor_cases`, and
its shape before that. The images are of sums of waves, with noise.
"""

from typing import Any

import numpy as np
import transformers
from PIL import Image
from transformers import TimmWrapperImageProcessor

from tests.probes.processor_cases import CASES, REFERENCE, TIMM, images, lattice

SIZES = {"wide": (75, 101), "tall": (121, 66), "square": (48, 48), "tiny": (7, 5)}


def wave_image(height: int, width: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(height, width)
    channels = []
    for _ in range(3):
        fx, fy, phase = rng.uniform(1, 9, 3)
        channels.append(np.sin(fx * x * 3 + phase) * np.cos(fy * y * 3) * 100 + 128)
    image = np.stack(channels, -1) + rng.normal(0, 12, (height, width, 3))
    return image.clip(0, 255).astype(np.uint8)


def main() -> None:
    made = {name: wave_image(*size, seed) for seed, (name, size) in enumerate(SIZES.items())}
    made["grey"] = wave_image(40, 57, 9)[..., 0]
    np.savez_compressed(REFERENCE / "images.npz", **made)

    outputs: dict[str, np.ndarray] = {}

    def record(key: str, processor: Any, image: Image.Image, kind: str = "np") -> None:
        pixels = np.asarray(processor(image.convert("RGB"), return_tensors=kind)["pixel_values"][0], np.float32)
        outputs[key] = lattice(pixels)
        outputs[f"{key}/shape"] = np.array(pixels.shape)

    for name, image in images().items():
        for (processor, case), config in CASES.items():
            record(f"pillow/{processor}/{case}/{name}", getattr(transformers, f"{processor}Pil")(**config), image)
            record(f"torchvision/{processor}/{case}/{name}", getattr(transformers, processor)(**config), image)
        for case, config in TIMM.items():
            record(f"timm/{case}/{name}", TimmWrapperImageProcessor(pretrained_cfg=config), image, "pt")
    np.savez_compressed(REFERENCE / "outputs.npz", **outputs)


if __name__ == "__main__":
    main()
