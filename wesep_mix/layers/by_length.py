"""Exact batches for networks that know no padding: items of equal length go through together."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from wesep_mix.layers.masking import valid_frames


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
