"""An extractor's loss on all of its estimates (SpEx+: Ge et al. 2020, section 2, without the speaker's term)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from wesep_mix.losses.lengths import within_lengths
from wesep_mix.losses.si_sdr import si_sdr


def si_snr(est: Tensor, target: Tensor) -> Tensor:
    """SI-SDR of signals without their means: est, target [..., T] -> dB [...]."""
    return si_sdr(est - est.mean(-1, keepdim=True), target - target.mean(-1, keepdim=True))


RATIOS = {"si_sdr": si_sdr, "si_snr": si_snr}


def extraction_loss(
    ests: Tensor, target: Tensor, name: str, weights: Sequence[float], num_samples: Tensor | None = None
) -> Tensor:
    """Negative ratio in dB of every estimate, mean over the batch, weighted sum: [B, K, T], [B, T] -> scalar.

    num_samples: int64 [B], how much of each item counts (None: all of it); what comes after is padding.
    """
    ratios = within_lengths(RATIOS[name], ests, target.unsqueeze(1), num_samples)  # [B, K]
    each = ratios.mean(0)  # [K]
    return -(each * each.new_tensor(weights)).sum()
