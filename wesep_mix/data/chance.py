"""Choices that training makes by an example's numbers in [0, 1), the same wherever they are made."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def as_chance(numbers: np.ndarray) -> Tensor:
    """float64 in [0, 1) -> float32 in [0, 1): rounding must not reach 1."""
    return torch.tensor(numbers, dtype=torch.float32).clamp(max=1 - 2**-24)


def choose(count: Tensor | int, chance: Tensor) -> Tensor:
    """A number from 0 to count - 1, all as likely: chance float32 [...] -> int64 [...]."""
    return (chance * count).long()
