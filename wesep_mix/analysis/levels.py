"""Levels of estimates."""

from __future__ import annotations

from torch import Tensor


def at_mixture_level(est: Tensor, mix: Tensor) -> Tensor:
    """Scale estimates [..., T] to the level that their talkers have in the mixture, [..., T] or of a shape that
    broadcasts to theirs.

    SI-SDR leaves the level open. Speech is uncorrelated with the other talkers and the noise, so the factor that
    fits an estimate to the mixture best (least squares) is the one that restores its level.
    """
    return est * ((est * mix).sum(-1, keepdim=True) / est.square().sum(-1, keepdim=True).clamp(min=1e-12))
