"""Scale-invariant signal-to-distortion ratio as a training loss (Le Roux et al. 2019, equation 3)."""

from __future__ import annotations

from torch import Tensor


def si_sdr(est: Tensor, target: Tensor, eps: float = 1e-8) -> Tensor:
    """est, target [..., T] -> dB [...]. No mean is removed; `eps` keeps silence finite."""
    scale = (est * target).sum(-1, keepdim=True) / (target.square().sum(-1, keepdim=True) + eps)
    projected = scale * target
    error = est - projected
    return 10 * ((projected.square().sum(-1) + eps) / (error.square().sum(-1) + eps)).log10()
