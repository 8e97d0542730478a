"""The level of a signal, for models that work at unit level and give the mixture's back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SILENT = 1e-8  # root mean square below which a signal is left as it is


@dataclass(frozen=True)
class Longer:
    """What a model must know of the longer signal when it is given a part of one.

    level: root mean square of all of it, float [B, 1]; energy, count: sum of squares (float64 [B, 1]) and number of
    the samples in front of the part.
    """

    level: Tensor
    energy: Tensor
    count: int


def unit_level(wav: Tensor, longer: Longer | None = None) -> Tensor:
    """Root mean square of the signal, or of the longer one that it is a part of: float [B, T] -> float [B, 1].

    1 for a silent row, so that one can divide by it.
    """
    return _to_divide_by(wav.square().mean(1, keepdim=True).sqrt()) if longer is None else longer.level


def level_so_far(wav: Tensor, ends: Tensor, longer: Longer | None = None) -> Tensor:
    """Root mean square of all that was heard, for causal models: float [B, T], ends int64 [L] -> float [B, L].

    Of the samples in front of each of `ends`, with those of the longer signal in front of the part; 1 for silence.
    """
    energy, count = wav.double().square().cumsum(1)[:, ends - 1], ends
    if longer is not None:
        energy, count = energy + longer.energy, ends + longer.count
    return _to_divide_by((energy / count).sqrt().to(wav.dtype))


def check_causal(causal: bool, unit_level: bool) -> None:
    """Raises: ValueError when both are wanted (a config's own check calls this)."""
    if causal and unit_level:
        raise ValueError("unit_level: wanted false with causal true, since a mixture's level is only known at its end")


def _to_divide_by(level: Tensor) -> Tensor:
    return torch.where(level > SILENT, level, 1.0)
