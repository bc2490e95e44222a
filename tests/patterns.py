"""Small scenes with patches of patterns, and a network that says at each pixel which is there.

python -m tests.patterns    # trains it anew (torch), into tests/reference/places/patterns.onnx
"""

from pathlib import Path

import numpy as np

MODEL = Path(__file__).parent / "reference" / "places" / "patterns.onnx"
#: what the columns are: nothing, stripes that lie, stand or lean, and a chessboard
NAMES = ("background", "lying", "standing", "leaning", "board")
SIDE, PATCH = 16, 7


def scenes(count: int, seed: int, without: int | None = None) -> dict[str, np.ndarray]:
    """x: float32 [count, 1, 16, 16]. y: int64 [count, 16, 16], one or two patches on noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((PATCH, PATCH))
    patterns = (rows // 2 % 2, columns // 2 % 2, (rows + columns) // 2 % 2, (rows // 2 + columns // 2) % 2)
    x, y = (
        rng.normal(0, 0.3, (count, 1, SIDE, SIDE)).astype(np.float32),
        np.zeros((count, SIDE, SIDE), np.int64),
    )
    allowed = [c for c in range(1, 5) if c != without]
    for i in range(count):
        for _ in range(rng.integers(1, 3)):
            c = int(rng.choice(allowed))
            top, left = rng.integers(0, SIDE - PATCH + 1, 2)
            where = np.s_[top : top + PATCH, left : left + PATCH]
            x[i, 0][where] = 2.0 * patterns[c - 1] - 1 + rng.normal(0, 0.3, (PATCH, PATCH))
            y[i][where] = c
    return {"x": x, "y": y}


def _train() -> None:
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for inputs in (1, 12, 12):
        layers += [nn.Conv2d(inputs, 12, 3, padding=1), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Conv2d(12, len(NAMES), 1))
    made = scenes(6000, 0)
    x, y = torch.from_numpy(made["x"]), torch.from_numpy(made["y"])
    optimizer = torch.optim.AdamW(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=800)
    for step in range(800):
        some = torch.arange(64 * step, 64 * step + 64) % len(x)
        loss = nn.functional.cross_entropy(model(x[some]), y[some])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    print(f"loss {loss.item():.3f}")
    MODEL.parent.mkdir(parents=True, exist_ok=True)
    axes = {"x": {0: "batch"}, "scores": {0: "batch"}}
    torch.onnx.export(
        model.eval(), (x[:2],), MODEL, input_names=["x"], output_names=["scores"], opset_version=17,
        dynamo=False, dynamic_axes=axes,
    )  # fmt: skip


if __name__ == "__main__":
    _train()
