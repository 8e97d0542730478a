"""Group norm over the existing frames of each item, for batches padded to the longest."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


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
        """[B, C, L] -> [B, C, L], zeros behind an item's end.

        Item by item: over all at once a masked norm holds several tensors of the batch's size, at the front-end's
        highest frame rate, and took four times as long on a CPU.
        """
        num_frames = torch.div(self.num_samples - self.kernel_size, self.stride, rounding_mode="floor") + 1
        if bool((num_frames == frames.shape[-1]).all()):
            return super().forward(frames)
        items = (row[None, :, :count] for row, count in zip(frames, num_frames.tolist(), strict=True))
        rows = (functional.group_norm(item, self.num_groups, self.weight, self.bias, self.eps) for item in items)
        # of the norm's type, which under autocast need not be the frames'
        return torch.cat([functional.pad(row, (0, frames.shape[-1] - row.shape[-1])) for row in rows])
