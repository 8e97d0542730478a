"""Norms that papers name and PyTorch has not under that name. None of them changes a signal's shape.

gLN and cLN: Luo and Mesgarani, "Conv-TasNet", IEEE/ACM TASLP 2019, section II-C.

B batch, C channels, L frames, F bins.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class GlobalNorm(nn.Module):
    """gLN: zero mean and unit variance over channels and time, then a scale and a shift of every channel."""

    def __init__(self, num_channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(num_channels, 1))
        self.bias = nn.Parameter(torch.zeros(num_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, C, L] -> the same shape, of the weights' type whatever the autocast, in the layout of x."""
        image = x.to(self.weight.dtype).unsqueeze(2)  # [B, C, 1, L]: of images PyTorch keeps the layout
        return functional.group_norm(image, 1, self.weight[:, 0], self.bias[:, 0]).squeeze(2)


class ChannelNorm(nn.LayerNorm):
    """cLN: zero mean and unit variance over the channels of each frame, then a scale and a shift of every channel."""

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, C, L] -> the same shape."""
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


def instance_norm(x: Tensor) -> Tensor:
    """Zero mean and unit variance of every channel of every item: float [B, C, ...] -> the same shape."""
    return functional.group_norm(x, x.shape[1])  # a channel a group; PyTorch's instance norm is slower on a CPU
