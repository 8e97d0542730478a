"""Learning rate over the steps of a training."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from wesep_mix.training.settings import OptimConfig


def schedule_of(optim: OptimConfig, optimizer: Optimizer, num_steps: int) -> LRScheduler:
    """The schedule of the config, advanced once a step."""
    if optim.schedule == "one_cycle":
        total = num_steps + 1
        warmup = max(optim.warmup, 2 / total)  # of a step at least: PyTorch divides by that
        return OneCycleLR(optimizer, optim.lr, total_steps=total, pct_start=warmup)
    warmup = max(1, round(optim.warmup * num_steps)) if optim.warmup else 0
    fall = optim.final_lr / optim.lr

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return fall ** ((step - warmup) / max(1, num_steps - warmup))

    return LambdaLR(optimizer, factor)
