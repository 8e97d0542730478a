"""Losses of estimated signals, by scale-invariant signal-to-distortion ratio (Le Roux et al. 2019, equation 3).

An extractor's is on all of its estimates (SpEx+: Ge et al. 2020, section 2, without the speaker's term). A separator's
is utterance-level permutation-invariant training (Kolbaek et al. 2017, section III), with the exact best permutation.
Where the level is to be learned too, and silence, there are the losses of Wisdom et al. ("What's all the FUSS about
free universal sound separation data?", ICASSP 2021). The signals of a batch need not be equally long.

B batch, S speakers, K estimates, T samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from wesep_mix.matching.assignment import best_assignment

FLOOR = 1e-3  # share of an energy, -30 dB, below which an error counts no more


def within_lengths(
    ratio: Callable[[Tensor, Tensor], Tensor], est: Tensor, target: Tensor, num_samples: Tensor | None
) -> Tensor:
    """A ratio of signals, each item without its padding.

    Args:
        ratio: Of signals [..., T] twice -> [...].
        est: Float [B, ..., T].
        target: Float [B, ..., T].
        num_samples: How much of each item counts, int64 [B]; None: all of it.

    Returns:
        Ratios [B, ...].
    """
    if num_samples is None:
        return ratio(est, target)
    items = zip(est, target, num_samples.tolist(), strict=True)
    return torch.stack([ratio(one[..., :size], other[..., :size]) for one, other, size in items])


def si_sdr(est: Tensor, target: Tensor, eps: float = 1e-8) -> Tensor:
    """Scale-invariant signal-to-distortion ratio; no mean is removed.

    Args:
        est: Float [..., T].
        target: Float [..., T].
        eps: Added to energies, so that silence has a finite ratio.

    Returns:
        dB, [...].
    """
    scale = (est * target).sum(-1, keepdim=True) / (target.square().sum(-1, keepdim=True) + eps)
    projected = scale * target
    error = est - projected
    return 10 * ((projected.square().sum(-1) + eps) / (error.square().sum(-1) + eps)).log10()


def si_snr(est: Tensor, target: Tensor) -> Tensor:
    """SI-SDR of signals without their means.

    Args:
        est: Float [..., T].
        target: Float [..., T].

    Returns:
        dB, [...].
    """
    return si_sdr(est - est.mean(-1, keepdim=True), target - target.mean(-1, keepdim=True))


def snr(est: Tensor, target: Tensor, eps: float = 1e-8) -> Tensor:
    """Signal-to-noise ratio, which hears the level, softly limited to 30 dB (Wisdom et al. 2021).

    Args:
        est: Float [..., T].
        target: Float [..., T].
        eps: Added to energies, so that silence has a finite ratio.

    Returns:
        dB, [...].
    """
    return _limited(target, est - target, eps)


def attenuation(est: Tensor, mix: Tensor, eps: float = 1e-8) -> Tensor:
    """How far an estimate is below its mixture, softly limited to 30 dB: for a talker who is not there (Wisdom et al.
    2021).

    Args:
        est: Float [..., T].
        mix: Float [..., T].
        eps: Added to energies.

    Returns:
        dB, [...]; 0 for the mixture itself, nearly.
    """
    return _limited(mix, est, eps)


def _limited(wanted: Tensor, error: Tensor, eps: float) -> Tensor:
    """By how many dB an error is below what is wanted, up to nearly 30: [..., T] twice -> [...]."""
    energy = wanted.square().sum(-1)
    return 10 * ((energy + eps) / (error.square().sum(-1) + FLOOR * energy + eps)).log10()


RATIOS = {"si_sdr": si_sdr, "si_snr": si_snr, "snr": snr}


def extraction_loss(
    ests: Tensor, target: Tensor, name: str, weights: Sequence[float], num_samples: Tensor | None = None
) -> Tensor:
    """Negative ratio of every estimate, mean over the batch, weighted sum over the estimates.

    Args:
        ests: Estimates, float [B, K, T].
        target: Float [B, T].
        name: The ratio, one of RATIOS.
        weights: Of the K estimates.
        num_samples: How much of each item counts, int64 [B] (None: all of it); what comes after is padding.

    Returns:
        A scalar, in dB.
    """
    ratios = within_lengths(RATIOS[name], ests, target.unsqueeze(1), num_samples)  # [B, K]
    each = ratios.mean(0)  # [K]
    return -(each * each.new_tensor(weights)).sum()


def absence_loss(ests: Tensor, mix: Tensor, weights: Sequence[float], num_samples: Tensor | None = None) -> Tensor:
    """Negative attenuation of every estimate of somebody who is not there, as `extraction_loss` of those who are.

    Args:
        ests: Estimates, float [B, K, T].
        mix: Float [B, T].
        weights: Of the K estimates.
        num_samples: How much of each item counts, int64 [B]; None: all of it.

    Returns:
        A scalar, in dB.
    """
    each = within_lengths(attenuation, ests, mix.unsqueeze(1), num_samples).mean(0)  # [K]
    return -(each * each.new_tensor(weights)).sum()


def best_order(est: Tensor, sources: Tensor, num_samples: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The assignment of estimates to sources with the largest mean SI-SDR, over all permutations.

    A source that is silent, as a talker may be in a chunk, has no SI-SDR: it takes the estimate that is left over, and
    counts in no mean.

    Args:
        est: Estimates, float [B, S, T].
        sources: Float [B, S, T].
        num_samples: How much of each item counts, int64 [B]; None: all of it.

    Returns:
        That mean in dB, [B], and for every source its estimate, int64 [B, S].
    """
    pairs = within_lengths(si_sdr, est[:, :, None], sources[:, None], num_samples)  # [B, S estimates, S sources]
    heard = sources.any(-1)  # [B, S]
    total, chosen = best_assignment(-pairs.masked_fill(~heard[:, None], 0))
    return -total / heard.sum(1).clamp(min=1), chosen


def upit_loss(est: Tensor, sources: Tensor, num_samples: Tensor | None = None) -> Tensor:
    """Negative SI-SDR under each mixture's best assignment, mean over the batch.

    Args:
        est: Estimates, float [B, S, T].
        sources: Float [B, S, T].
        num_samples: How much of each item counts, int64 [B]; None: all of it.

    Returns:
        A scalar, in dB.
    """
    return -best_order(est, sources, num_samples)[0].mean()


def in_order(est: Tensor, sources: Tensor) -> Tensor:
    """The estimates in the order of the sources that fit them best.

    Args:
        est: Estimates, float [B, S, T].
        sources: Float [B, S, T].

    Returns:
        The estimates, float [B, S, T].
    """
    chosen = best_order(est, sources)[1]  # [B, S]
    return est.gather(1, chosen[..., None].expand_as(est))
