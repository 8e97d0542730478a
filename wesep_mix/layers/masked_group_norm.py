"""Group norm over the existing frames of each item, for batches padded to the longest."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wesep_mix.layers.masking import masked_mean_std, valid_frames


class MaskedGroupNorm(nn.GroupNorm):
    """`nn.GroupNorm` with a group for every channel, behind a convolution of that kernel and stride.

    `num_samples` int64 [B], the items' lengths in front of the convolution, is set before each forward.
    """

    num_samples: Tensor | None = None

    @staticmethod
    def of(norm: nn.GroupNorm, kernel_size: int, stride: int) -> MaskedGroupNorm:
        """The same norm with the same weights. Raises: ValueError when channels share a group."""
        if norm.num_groups != norm.num_channels:
            raise ValueError(f"wanted a group for every channel, found {norm.num_groups} for {norm.num_channels}")
        masked = MaskedGroupNorm(norm.num_groups, norm.num_channels, norm.eps)
        masked.load_state_dict(norm.state_dict())
        masked.kernel_size, masked.stride = kernel_size, stride
        return masked

    def forward(self, frames: Tensor) -> Tensor:
        """[B, C, L] -> [B, C, L]; what lies behind an item's end is scaled like the item."""
        num_frames = torch.div(self.num_samples - self.kernel_size, self.stride, rounding_mode="floor") + 1
        if bool((num_frames == frames.shape[-1]).all()):
            return super().forward(frames)
        by_time = frames.float().transpose(1, 2)  # [B, L, C]
        mean, std = masked_mean_std(by_time, valid_frames(num_frames, frames.shape[-1]), eps=0.0)
        scaled = (by_time - mean) / (std.square() + self.eps).sqrt()
        return (scaled * self.weight + self.bias).transpose(1, 2).to(frames.dtype)
