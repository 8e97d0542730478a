"""Settings that every training has in common."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OptimConfig:
    """AdamW with a one-cycle schedule: linear rise over `warmup` of all steps, cosine decay to nearly zero."""

    lr: float = 1e-3
    weight_decay: float = 1e-2
    warmup: float = 0.1


@dataclass(frozen=True)
class TrainerConfig:
    """An 'epoch' is `steps_per_epoch` optimiser steps: after each comes validation and a checkpoint."""

    max_steps: int = 1000
    steps_per_epoch: int = 100
    clip: float = 5.0
    precision: str = "32-true"
    max_bad_steps: int = 20
    num_workers: int = 1
    keep: str = "best"  # whose weights are saved: of the best epoch on the dev set, or of the `last`

    def __post_init__(self) -> None:
        if self.max_steps < 1 or self.steps_per_epoch < 1:
            raise ValueError("trainer.max_steps and trainer.steps_per_epoch must be at least 1")
        if self.keep not in ("best", "last"):
            raise ValueError(f"trainer.keep: wanted best or last, found {self.keep}")
        if self.max_steps % self.steps_per_epoch:
            raise ValueError(
                f"trainer.max_steps ({self.max_steps}) must be a multiple of trainer.steps_per_epoch "
                f"({self.steps_per_epoch}), so that the last step has a checkpoint"
            )
