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
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2] / "sample_models"))

from trained import scenes

SIZE, BATCH, COUNT, EPOCHS = 96, 16, 2000, 12
STRIDES, WIDTHS = (8, 16), (48, 64)
C = len(scenes.CLASSES)
Targets = list[tuple[Tensor, Tensor]]  # of each scene its boxes [n, 4] and classes [n]


def conv(inward: int, outward: int, stride: int = 1, activation: type[nn.Module] = nn.SiLU) -> nn.Sequential:
    """3×3, normalised."""
    layer = nn.Conv2d(inward, outward, 3, stride, 1, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outward), activation())


class Residual(nn.Module):
    """Two convolutions around which the input goes."""

    def __init__(self, width: int, activation: type[nn.Module]) -> None:
        super().__init__()
        self.inner = nn.Sequential(conv(width, width, 1, activation), conv(width, width, 1, activation))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.inner(x)
        return result


class Backbone(nn.Module):
    """Features at strides 8 and 16, of WIDTHS; the coarse ones are mixed into the fine ones."""

    def __init__(self, activation: type[nn.Module]) -> None:
        super().__init__()
        fine, coarse = WIDTHS
        self.early = nn.Sequential(
            conv(3, 12, 2, activation),
            conv(12, 24, 2, activation),
            conv(24, fine, 2, activation),
            Residual(fine, activation),
        )
        self.late = nn.Sequential(conv(fine, coarse, 2, activation), Residual(coarse, activation))
        self.up = nn.Sequential(nn.Conv2d(coarse, fine, 1), nn.Upsample(scale_factor=2))
        self.mix = conv(fine, fine, 1, activation)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        early = self.early(x)
        late = self.late(early)
        return self.mix(early + self.up(late)), late


def grid() -> tuple[Tensor, Tensor]:
    """Of each place its centre [places, 2] in pixels, and its stride [places]."""
    centres, strides = [], []
    for stride in STRIDES:
        along = (torch.arange(SIZE // stride) + 0.5) * stride
        y, x = torch.meshgrid(along, along, indexing="ij")
        centres.append(torch.stack([x, y], -1).flatten(0, 1))
        strides.append(torch.full((len(centres[-1]),), float(stride)))
    return torch.cat(centres), torch.cat(strides)


class Yolo(nn.Module):
    """Sigmoid classes and distances to the four sides at each place of two scales."""

    centres: Tensor
    strides: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone(nn.SiLU)
        self.box = nn.ModuleList(nn.Sequential(conv(w, 32), nn.Conv2d(32, 4, 1)) for w in WIDTHS)
        self.classes = nn.ModuleList(nn.Sequential(conv(w, 48), nn.Conv2d(48, C, 1)) for w in WIDTHS)
        for branch in self.classes:
            nn.init.constant_(branch[1].bias, -4.0)  # type: ignore[index]
        centres, strides = grid()
        self.register_buffer("centres", centres.T[None])
        self.register_buffer("strides", strides[None, None])

    def raw(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes as corners [N, 4, places] and class logits [N, C, places]."""
        features = self.backbone(x)
        sides = torch.cat([head(f).flatten(2) for head, f in zip(self.box, features, strict=True)], 2)
        logits = torch.cat([head(f).flatten(2) for head, f in zip(self.classes, features, strict=True)], 2)
        sides = nn.functional.softplus(sides) * self.strides
        corners = torch.cat([self.centres - sides[:, :2], self.centres + sides[:, 2:]], 1)
        return corners, logits

    def forward(self, x: Tensor) -> Tensor:
        corners, logits = self.raw(x)
        first, second = corners[:, :2], corners[:, 2:]
        return torch.cat([(first + second) / 2, second - first, logits.sigmoid()], 1)

    def loss(self, x: Tensor, targets: Targets) -> Tensor:
        """Overlap, and classes whose target is the overlap (generalised focal loss)."""
        corners, logits = (each.transpose(1, 2) for each in self.raw(x))
        wanted = torch.zeros_like(logits)
        pull, count = torch.zeros(()), 0
        for i, (boxes, classes) in enumerate(targets):
            place, owner = self._assigned(boxes)
            if len(place):
                gain = overlap(corners[i, place], boxes[owner], paired=True)
                wanted[i, place, classes[owner]] = gain.detach().clamp(0.05)
                pull, count = pull + (1 - gain).sum(), count + len(place)
        said = logits.sigmoid()
        spoken = nn.functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
        return (2 * pull + (spoken * (wanted - said).detach().abs() ** 2).sum() * 2) / max(count, 1)

    def _assigned(self, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Places near a box's middle, and whose; the smallest box wins."""
        centres, strides = self.centres[0].T, self.strides[0, 0]
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        near = (centres[:, None] - middle[None]).abs().amax(2) < 1.0 * strides[:, None]
        area = ((boxes[:, 2:] - boxes[:, :2]).prod(1))[None].expand(near.shape)
        cost = torch.where(near, area, torch.inf)
        least, owner = cost.min(1)
        place = torch.nonzero(least < torch.inf)[:, 0]
        return place, owner[place]


class Ssd(nn.Module):
    """Softmax with ground first, and offsets from three priors, at each place of two scales."""

    priors: Tensor
    SHAPES = ((1.0, 1.0), (0.6, 1.3), (1.3, 0.7))
    SIDES = (22.0, 30.0)

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone(nn.ReLU)
        each = len(self.SHAPES)
        self.extra = nn.ModuleList(conv(w, 48, 1, nn.ReLU) for w in WIDTHS)
        self.box = nn.ModuleList(nn.Conv2d(48, each * 4, 3, padding=1) for _ in WIDTHS)
        self.classes = nn.ModuleList(nn.Conv2d(48, each * (1 + C), 3, padding=1) for _ in WIDTHS)
        centres, strides = grid()
        fine, coarse = (torch.tensor(side) for side in self.SIDES)
        side: Tensor = torch.where(strides == STRIDES[0], fine, coarse)
        sizes = side[:, None, None] * torch.tensor(self.SHAPES)[None]
        priors = torch.cat([centres[:, None].expand_as(sizes), sizes], 2).flatten(0, 1)
        self.register_buffer("priors", priors[None])

    def raw(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Offsets [N, places, 4] and logits [N, places, 1 + C]."""
        features = [extra(f) for extra, f in zip(self.extra, self.backbone(x), strict=True)]
        offsets, logits = (
            torch.cat(
                [
                    head(f).permute(0, 2, 3, 1).reshape(f.shape[0], -1, width)
                    for head, f in zip(heads, features, strict=True)
                ],
                1,
            )
            for heads, width in ((self.box, 4), (self.classes, 1 + C))
        )
        return offsets, logits

    def decoded(self, offsets: Tensor) -> Tensor:
        """Corners in pixels."""
        priors: Tensor = self.priors
        middle = priors[..., :2] + 0.1 * offsets[..., :2] * priors[..., 2:]
        half = priors[..., 2:] * torch.exp(0.2 * offsets[..., 2:]) / 2
        return torch.cat([middle - half, middle + half], -1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        offsets, logits = self.raw(x)
        return logits.softmax(2), self.decoded(offsets)

    def loss(self, x: Tensor, targets: Targets) -> Tensor:
        """Overlap of priors that match, classes of these and of the three times as many worst others."""
        offsets, logits = self.raw(x)
        priors = self.decoded(torch.zeros_like(offsets[:1]))[0]
        wanted = torch.zeros(logits.shape[:2], dtype=torch.long)
        pull = torch.zeros(())
        for i, (boxes, classes) in enumerate(targets):
            match = overlap(priors, boxes)
            best, owner = match.max(1)
            forced = match.argmax(0)
            best[forced], owner[forced] = 1.0, torch.arange(len(boxes))
            place = torch.nonzero(best >= 0.5)[:, 0]
            wanted[i, place] = 1 + classes[owner[place]]
            corners = self.decoded(offsets)[i, place]
            pull = pull + (1 - overlap(corners, boxes[owner[place]], paired=True)).sum()
        spoken = nn.functional.cross_entropy(logits.transpose(1, 2), wanted, reduction="none")
        positive = wanted > 0
        count = max(int(positive.sum()), 1)
        worst = spoken.detach().masked_fill(positive, 0).flatten().topk(3 * count).indices
        return (2 * pull + spoken[positive].sum() + spoken.flatten()[worst].sum()) / count


class Detr(nn.Module):
    """Queries that look at the features, softmax with "no object" last; each starts at a point of its own, of
    a lattice, and looks there first: with points at random it takes several times as long to learn."""

    ALONG, WIDTH = 5, 64
    QUERIES = ALONG**2

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone(nn.ReLU)
        self.enter = nn.Conv2d(WIDTHS[0], self.WIDTH, 1)
        points, cells = (lattice(n) for n in (self.ALONG, SIZE // STRIDES[0]))
        self.position, self.queries = (nn.Parameter(waves(p, self.WIDTH)[None]) for p in (cells, points))
        sizes = torch.full_like(points, 0.25)
        self.points = nn.Parameter(torch.cat([points, sizes], 1)[None].logit())
        self.layers = nn.ModuleList(Decoder(self.WIDTH) for _ in range(3))
        self.classes = nn.Linear(self.WIDTH, C + 1)
        self.box = nn.Sequential(nn.Linear(self.WIDTH, 64), nn.ReLU(), nn.Linear(64, 4))

    def stages(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Logits and boxes after each layer of the decoder."""
        memory = self.enter(self.backbone(x)[0]).flatten(2).transpose(1, 2)
        found, said = torch.zeros_like(self.queries).expand(x.shape[0], -1, -1), []
        for layer in self.layers:
            found = layer(found, memory, self.position, self.queries)
            said.append((self.classes(found), (self.points + self.box(found)).sigmoid()))
        return said

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.stages(x)[-1]

    def loss(self, x: Tensor, targets: Targets) -> Tensor:
        """Of the cheapest matching (Hungarian), after each layer."""
        total, weight = torch.zeros(()), torch.ones(C + 1)
        weight[C] = 0.2
        whole, classes = (torch.cat(each) for each in zip(*targets, strict=True))
        true = torch.cat([(whole[:, :2] + whole[:, 2:]) / 2, whole[:, 2:] - whole[:, :2]], 1) / SIZE
        ends = np.cumsum([0, *(len(own) for own, _ in targets)])
        for logits, boxes in self.stages(x):
            corners = torch.cat([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], 2)
            with torch.no_grad():
                flat = boxes.flatten(0, 1)
                match = overlap(corners.flatten(0, 1), whole / SIZE)
                cost = (
                    5 * torch.cdist(flat, true, p=1)
                    - 2 * match
                    - logits.softmax(2)[..., classes].flatten(0, 1)
                )
                cost = cost.reshape(*boxes.shape[:2], -1)
            chosen = [
                linear_sum_assignment(own[:, begin:end])
                for own, begin, end in zip(cost.numpy(), ends, ends[1:], strict=False)
            ]
            image = torch.arange(len(x)).repeat_interleave(torch.tensor([len(q) for q, _ in chosen]))
            query = torch.from_numpy(np.concatenate([q for q, _ in chosen]))
            owner = torch.from_numpy(np.concatenate([o + b for (_, o), b in zip(chosen, ends, strict=False)]))
            wanted = torch.full(logits.shape[:2], C)
            wanted[image, query] = classes[owner]
            pull = 5 * (boxes[image, query] - true[owner]).abs().sum()
            pull = pull + 2 * (1 - overlap(corners[image, query], whole[owner] / SIZE, paired=True)).sum()
            spoken = nn.functional.cross_entropy(logits.transpose(1, 2), wanted, weight)
            total = total + 2 * spoken + pull / len(owner)
        return total


def lattice(along: int) -> Tensor:
    """Points of a square of side 1, row by row, x and y, [along², 2]."""
    at = (torch.arange(along) + 0.5) / along
    return torch.stack(torch.meshgrid(at, at, indexing="xy"), -1).flatten(0, 1)


def waves(points: Tensor, width: int) -> Tensor:
    """Sines and cosines of both coordinates, [points, width]: what is near is alike."""
    turns = torch.pi * 2 ** torch.linspace(0, 3, width // 4)
    angles = points[:, :, None] * turns
    return torch.cat([angles.sin(), angles.cos()], 2).flatten(1)


class Decoder(nn.Module):
    """Attention among queries, then of queries to the features, then a dense part."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.own, self.cross = (Attention(width) for _ in range(2))
        self.dense = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))

    def forward(self, found: Tensor, memory: Tensor, position: Tensor, queries: Tensor) -> Tensor:
        one, two, three = self.norms
        found = one(found + self.own(found + queries, found + queries, found))
        found = two(found + self.cross(found + queries, memory + position, memory))
        result: Tensor = three(found + self.dense(found))
        return result


class Attention(nn.Module):
    """Of four heads."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))
        self.k.load_state_dict(self.q.state_dict())  # what is alike is looked at

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        q, k, v = (
            layer(part).unflatten(2, (4, -1)).transpose(1, 2)
            for layer, part in ((self.q, queries), (self.k, keys), (self.v, values))
        )
        weights = (q @ k.transpose(2, 3) / q.shape[-1] ** 0.5).softmax(3)
        result: Tensor = self.out((weights @ v).transpose(1, 2).flatten(2))
        return result


def overlap(one: Tensor, other: Tensor, *, paired: bool = False) -> Tensor:
    """Intersection over union of corners: [n, m] of all, or [n] of pairs, less what lies between them where
    they do not touch (generalised)."""
    if not paired:
        one, other = one[:, None], other[None]
    inner = (torch.minimum(one[..., 2:], other[..., 2:]) - torch.maximum(one[..., :2], other[..., :2])).clamp(
        0
    )
    outer = torch.maximum(one[..., 2:], other[..., 2:]) - torch.minimum(one[..., :2], other[..., :2])
    areas = [(box[..., 2:] - box[..., :2]).prod(-1) for box in (one, other)]
    shared, whole = inner.prod(-1), outer.prod(-1)
    union = areas[0] + areas[1] - shared
    match: Tensor = shared / union.clamp(1e-6)
    return match - (whole - union) / whole.clamp(1e-6) if paired else match


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
