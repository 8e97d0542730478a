"""Masks for batches of unequal lengths, so that an item gives the same output alone and padded.

Exact batches for networks that know no padding: items of equal length go through together.

Group norm over the existing frames of each item, for batches padded to the longest.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


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


def by_length(embed: Callable[[Tensor], Tensor], wav: Tensor, num_samples: Tensor | None, least: int) -> Tensor:
    """`embed` (wav [b, t] -> [b, D]) for wav float [B, T] and num_samples int64 [B] (T when None): [B, D].

    An item gives what it gives alone; one shorter than `least` samples is followed by silence.
    """
    wav = torch.nn.functional.pad(wav, (0, max(0, least - wav.shape[1])))
    if num_samples is None:
        return embed(wav)
    wav = wav * valid_frames(num_samples, wav.shape[1])
    lengths = num_samples.clamp(min=least).tolist()
    groups = [[row for row, length in enumerate(lengths) if length == size] for size in sorted(set(lengths))]
    parts = [embed(wav[rows, : lengths[rows[0]]]) for rows in groups]
    order = torch.tensor([row for rows in groups for row in rows], device=wav.device)
    return torch.cat(parts)[order.argsort()]


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
