"""Losses of signals in one batch that are not equally long."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def within_lengths(
    ratio: Callable[[Tensor, Tensor], Tensor], est: Tensor, target: Tensor, num_samples: Tensor | None
) -> Tensor:
    """`ratio` (signals [..., T] -> [...]) of est and target [B, ..., T], each item without its padding.

    num_samples: int64 [B], how much of each item counts; None: all of it.
    """
    if num_samples is None:
        return ratio(est, target)
    items = zip(est, target, num_samples.tolist(), strict=True)
    return torch.stack([ratio(one[..., :size], other[..., :size]) for one, other, size in items])
