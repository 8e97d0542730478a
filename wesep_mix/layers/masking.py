"""Masks for batches of unequal lengths, so that an item gives the same output alone and padded."""

from __future__ import annotations

import torch
from torch import Tensor


def lengths_of(wav: Tensor, num_samples: Tensor | None) -> Tensor:
    """`num_samples`, or T for every item where that is None: wav [B, T] -> int64 [B]."""
    if num_samples is None:
        return torch.full((wav.shape[0],), wav.shape[1], device=wav.device)
    return num_samples


def valid_frames(num_frames: Tensor, length: int) -> Tensor:
    """Lengths [B] -> boolean [B, length], true where a frame exists."""
    return torch.arange(length, device=num_frames.device) < num_frames[:, None]


def masked_mean_std(frames: Tensor, valid: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over existing frames: [B, L, C], [B, L] -> [B, 1, C] each."""
    weight = valid[..., None].to(frames.dtype)  # [B, L, 1]
    count = weight.sum(1, keepdim=True).clamp(min=1)
    mean = (frames * weight).sum(1, keepdim=True) / count
    variance = ((frames - mean).square() * weight).sum(1, keepdim=True) / count
    return mean, variance.clamp(min=eps).sqrt()
