"""How the small networks here are trained: AdamW, with one cycle of its rate (Smith and Topin, 2018)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


def shuffled(count: int, batch: int, epochs: int) -> list[Tensor]:
    """Numbers of samples, a batch a step; each epoch in an order of its own."""
    whole = count // batch * batch
    return [step for _ in range(epochs) for step in torch.randperm(count)[:whole].view(-1, batch)]


def fit(
    model: nn.Module, rate: float, batches: Sequence[Tensor], loss: Callable[[Tensor], Tensor]
) -> nn.Module:
    """The model, ready to be asked. rate: the highest. loss: of the samples with these numbers."""
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=len(batches))
    for chosen in batches:
        optimizer.zero_grad()
        loss(chosen).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return model.eval()
