"""The level of a signal, for models that work at unit level and give the mixture's back."""

from __future__ import annotations

import torch
from torch import Tensor

SILENT = 1e-8  # root mean square below which a signal is left as it is


def root_mean_square(wav: Tensor) -> Tensor:
    """float [B, T] -> float [B, 1]; 1 for a silent row, so that one can divide by it."""
    level = wav.square().mean(1, keepdim=True).sqrt()
    return torch.where(level > SILENT, level, 1.0)
