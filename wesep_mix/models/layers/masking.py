"""Batches of unequal lengths: an item gives the same output alone as padded to the length of the longest.

Masks say what of a padded batch exists; `by_length` serves networks that know no padding, a length at a time; and
`MaskedGroupNorm` is group norm over the existing frames of each item.

B batch, T samples, L frames, C channels, D embedding size.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence


def lengths_of(wav: Tensor, num_samples: Tensor | None) -> Tensor:
    """The length of every item of a batch.

    Args:
        wav: [B, T].
        num_samples: int64 [B], or None where all items have T.

    Returns:
        int64 [B].
    """
    if num_samples is None:
        return torch.full((wav.shape[0],), wav.shape[1], device=wav.device)
    return num_samples


def valid_frames(num_frames: Tensor, length: int) -> Tensor:
    """Where frames exist (or samples, of which it holds alike).

    Args:
        num_frames: How many each item has, int64 [B].
        length: L, how many the padded batch has.

    Returns:
        Bool [B, L], true where there is one.
    """
    return torch.arange(length, device=num_frames.device) < num_frames[:, None]


def masked_mean_std(frames: Tensor, valid: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over existing frames.

    Args:
        frames: Float [B, L, C].
        valid: Bool [B, L], true where a frame exists.
        eps: The least variance.

    Returns:
        Both, float [B, 1, C].
    """
    weight = valid[..., None].to(frames.dtype)  # [B, L, 1]
    count = weight.sum(1, keepdim=True).clamp(min=1)
    mean = (frames * weight).sum(1, keepdim=True) / count
    variance = ((frames - mean).square() * weight).sum(1, keepdim=True) / count
    return mean, variance.clamp(min=eps).sqrt()


def by_length(network: Callable[[Tensor], Tensor], wav: Tensor, num_samples: Tensor | None, least: int) -> Tensor:
    """What a network that knows no padding makes of a padded batch: items of one length go through together.

    Args:
        network: wav [b, t] -> embeddings [b, D], or frames [b, L, C].
        wav: Float [B, T].
        num_samples: int64 [B], or None where all items have T.
        least: Samples that the network needs; silence follows a shorter item.

    Returns:
        Of each item what it gives alone, float [B, D], or [B, L, C] with zeros behind an item's last frame.
    """
    wav = functional.pad(wav, (0, max(0, least - wav.shape[1])))
    if num_samples is None:
        return network(wav)
    wav = wav * valid_frames(num_samples, wav.shape[1])
    lengths = num_samples.clamp(min=least).tolist()
    groups = [[row for row, length in enumerate(lengths) if length == size] for size in sorted(set(lengths))]
    parts = [network(wav[rows, : lengths[rows[0]]]) for rows in groups]
    order = torch.tensor([row for rows in groups for row in rows], device=wav.device)
    return pad_sequence([item for part in parts for item in part], batch_first=True)[order.argsort()]


class MaskedGroupNorm(nn.GroupNorm):
    """`nn.GroupNorm` with a group for every channel, behind a convolution of that kernel and stride.

    `num_samples` int64 [B], the items' lengths in front of the convolution, is set before each forward.
    """

    num_samples: Tensor | None = None

    @staticmethod
    def of(norm: nn.GroupNorm, kernel_size: int, stride: int) -> MaskedGroupNorm:
        """The same norm with the same weights.

        Args:
            norm: A group norm with a group for every channel.
            kernel_size: Of the convolution in front of it, samples.
            stride: Of that convolution, samples.

        Returns:
            The masked norm.

        Raises:
            ValueError: When channels share a group.
        """
        if norm.num_groups != norm.num_channels:
            raise ValueError(f"wanted a group for every channel, found {norm.num_groups} for {norm.num_channels}")
        masked = MaskedGroupNorm(norm.num_groups, norm.num_channels, norm.eps)
        masked.load_state_dict(norm.state_dict())
        masked.kernel_size, masked.stride = kernel_size, stride
        return masked

    def forward(self, frames: Tensor) -> Tensor:
        """[B, C, L] -> [B, C, L], zeros behind an item's end.

        It is computed item by item: over all at once a masked norm holds several tensors of the batch's size, at the
        front-end's highest frame rate, and takes four times as long on a CPU.
        """
        num_frames = torch.div(self.num_samples - self.kernel_size, self.stride, rounding_mode="floor") + 1
        if bool((num_frames == frames.shape[-1]).all()):
            return super().forward(frames)
        items = (row[None, :, :count] for row, count in zip(frames, num_frames.tolist(), strict=True))
        rows = (functional.group_norm(item, self.num_groups, self.weight, self.bias, self.eps) for item in items)
        # of the norm's type, which under autocast need not be the frames'
        return torch.cat([functional.pad(row, (0, frames.shape[-1] - row.shape[-1])) for row in rows])
