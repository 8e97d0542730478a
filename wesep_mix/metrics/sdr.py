"""SDR of BSS-eval: what a filter of 512 taps could make of the reference is no distortion.

Vincent, Gribonval and Fevotte, "Performance measurement in blind audio source separation", TASLP 2006: the SDR of its
`bss_eval_sources`, one filter for the whole signal. It comes by way of the coherence, as in Scheibler, "SDR - medium
rare with fast computations", ICASSP 2022, section 3.

It is not left to the package `fast_bss_eval`, which the tests compare it with: that imports torch where there is one,
in every worker, and its transforms are three times as long as 512 lags need.
"""

from __future__ import annotations

import numpy as np
from scipy import fft, linalg

from wesep_mix.base.errors import NoValue
from wesep_mix.metrics.si_sdr import RESOLUTION, check_pair

FILTER_LENGTH = 512  # taps
ROUNDING = 1e-6  # by which a coherence may leave 0 to 1


def sdr(ests: np.ndarray, source: np.ndarray) -> np.ndarray:
    """SDR of several signals against one reference, such as of an estimate and of the mixture.

    Args:
        ests: the signals, [M, T].
        source: the reference, [T].

    Returns:
        dB, [M], limited to +-156.5 dB as `si_sdr`.

    Raises:
        UserError: the signals cannot be scored (si_sdr.check_pair).
        NoValue: the reference is too simple a signal for the best filter to be found, a pure tone say.
    """
    pairs = [check_pair(est, source) for est in ests]
    ests, source = np.stack([est for est, _ in pairs]), pairs[0][1]
    ests /= np.linalg.norm(ests, axis=1, keepdims=True)
    auto, cross = _correlations(source / np.linalg.norm(source), ests)
    try:
        filters = np.linalg.solve(linalg.toeplitz(auto), cross.T).T  # [M, L]
    except np.linalg.LinAlgError as err:
        raise NoValue(f"SDR: the best filter of the source cannot be found ({err})") from err
    coherence = (cross * filters).sum(axis=1)  # the share of each signal's energy that the filter explains
    if not ((coherence > -ROUNDING) & (coherence < 1 + ROUNDING)).all():
        raise NoValue(f"SDR: the best filter of the source cannot be found (coherence {coherence.max():.3g})")
    coherence = coherence.clip(RESOLUTION, 1 - RESOLUTION)
    return 10 * np.log10(coherence / (1 - coherence))


def _correlations(source: np.ndarray, ests: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the source with itself, [L], and with each signal, [M, L], at lags from 0 to L - 1."""
    size = fft.next_fast_len(source.size + FILTER_LENGTH - 1, real=True)
    spectrum = fft.rfft(source, size)
    auto = fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[:FILTER_LENGTH]
    cross = fft.irfft(spectrum.conj() * fft.rfft(ests, size), size)[:, :FILTER_LENGTH]
    return auto, cross
