"""Attentive statistics pooling in the ECAPA-TDNN form (Okabe et al. 2018; Desplanques et al. 2020, section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wesep_mix.layers.masking import masked_mean_std, valid_frames
from wesep_mix.layers.side_by_side import side_by_side


class AttentiveStatisticsPooling(nn.Module):
    """Frames [B, L, C] -> attention-weighted mean and standard deviation over time [B, 2C].

    The attention of every channel sees the frame and the mean and deviation of the whole input (global context).
    """

    def __init__(self, channels: int, bottleneck: int = 128):
        super().__init__()
        self.attention = nn.Sequential(nn.Linear(3 * channels, bottleneck), nn.Tanh(), nn.Linear(bottleneck, channels))

    def forward(self, frames: Tensor, num_frames: Tensor) -> Tensor:
        """frames float [B, L, C], num_frames int64 [B] -> [B, 2C]; frames past `num_frames` have no influence."""
        valid = valid_frames(num_frames, frames.shape[1])  # [B, L]
        scores = self._scores(frames, torch.cat(masked_mean_std(frames, valid), dim=-1))  # [B, L, C]
        weights = scores.masked_fill(~valid[..., None], float("-inf")).softmax(dim=1)
        mean = (weights * frames).sum(1)
        variance = (weights * (frames - mean[:, None]).square()).sum(1)
        return torch.cat([mean, variance.clamp(min=1e-5).sqrt()], dim=-1)

    def _scores(self, frames: Tensor, context: Tensor) -> Tensor:
        """The attention of [frame; context]: [B, L, C], [B, 1, 2C] -> [B, L, C]."""
        first = self.attention[0]
        return self.attention[1:](side_by_side(frames, context, first.weight, first.bias))
