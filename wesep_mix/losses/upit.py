"""Utterance-level permutation-invariant training with SI-SDR (Kolbaek et al. 2017, section III; exact).

B batch, S speakers, T samples.
"""

from __future__ import annotations

from torch import Tensor

from wesep_mix.losses.lengths import within_lengths
from wesep_mix.losses.set_matching import best_assignment
from wesep_mix.losses.si_sdr import si_sdr


def best_order(est: Tensor, sources: Tensor, num_samples: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The assignment of estimates to sources with the largest mean SI-SDR, over all permutations.

    est, sources: [B, S, T]; num_samples: int64 [B], how much of each item counts (None: all of it). A source that is
    silent, as a talker may be in a chunk, has no SI-SDR: it takes what estimate is left over, and counts in no mean.
    Returns: that mean in dB [B], and int64 [B, S]: for every source its estimate.
    """
    pairs = within_lengths(si_sdr, est[:, :, None], sources[:, None], num_samples)  # [B, S estimates, S sources]
    heard = sources.any(-1)  # [B, S]
    total, chosen = best_assignment(-pairs.masked_fill(~heard[:, None], 0))
    return -total / heard.sum(1).clamp(min=1), chosen


def upit_loss(est: Tensor, sources: Tensor, num_samples: Tensor | None = None) -> Tensor:
    """Negative SI-SDR in dB under each mixture's best assignment, mean over the batch: as `best_order` -> scalar."""
    return -best_order(est, sources, num_samples)[0].mean()


def in_order(est: Tensor, sources: Tensor) -> Tensor:
    """The estimates in the order of the sources that fit them best: [B, S, T] twice -> [B, S, T]."""
    chosen = best_order(est, sources)[1]  # [B, S]
    return est.gather(1, chosen[..., None].expand_as(est))
