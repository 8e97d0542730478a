"""Integrated loudness (ITU-R BS.1770-4) of many crops of one utterance; the filter runs once over all of them.

The filter is pyloudnorm's, and so are the gating blocks. A crop is measured as if nothing had been before it: its first
samples are filtered again, until the filter has forgotten what came before.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from wesep_mix.io.audio import SAMPLE_RATE

BLOCK_S, HOP_S = 0.4, 0.1
ABSOLUTE_GATE, RELATIVE_GATE = -70.0, -10.0  # LUFS, LU
_SETTLED = round(0.2 * SAMPLE_RATE)  # the 38 Hz high-pass has decayed by 200 dB


def crop_loudness(samples: np.ndarray, starts: Sequence[int], num_samples: int) -> list[float]:
    """Measure the loudness of crops.

    Args:
        samples: the utterance, float [T] at 16 kHz.
        starts: first sample of each crop.
        num_samples: length of a crop.

    Returns:
        LUFS of each crop; -inf for silence.

    Raises:
        ValueError: a crop is shorter than a gating block (0.4 s).
    """
    if num_samples < BLOCK_S * SAMPLE_RATE:
        raise ValueError(f"wanted crops of at least {BLOCK_S} s, found {num_samples} samples")
    begin = min(starts)
    energy = _running_energy(samples[begin : max(starts) + num_samples])
    bounds = _blocks(num_samples)
    return [_gated_loudness(_block_powers(samples[start:], energy[start - begin :], bounds)) for start in starts]


def _block_powers(samples: np.ndarray, energy: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Mean square of each gating block: [J]; a block that the end of the crop cuts short counts as a whole one."""
    head = _running_energy(samples[:_SETTLED])
    settled = energy[bounds] - energy[_SETTLED] + head[_SETTLED]
    heard = np.where(bounds < _SETTLED, head[np.minimum(bounds, _SETTLED)], settled)  # [2, J]
    return np.maximum(heard[1] - heard[0], 0.0) / (BLOCK_S * SAMPLE_RATE)


def _blocks(num_samples: int) -> np.ndarray:
    """First sample of every gating block of a crop, and the one after its last: [2, J], counted as pyloudnorm does."""
    count = int(np.round((num_samples / SAMPLE_RATE - BLOCK_S) / HOP_S)) + 1
    hop, size = round(HOP_S * SAMPLE_RATE), round(BLOCK_S * SAMPLE_RATE)
    first = hop * np.arange(count)
    return np.minimum(np.stack([first, first + size]), num_samples)


def _gated_loudness(powers: np.ndarray) -> float:
    """Loudness of the blocks above two gates: the absolute one, and 10 LU below what the blocks above that have."""
    with np.errstate(divide="ignore"):
        levels = _level(powers)
        heard = levels >= ABSOLUTE_GATE
        if not heard.any():
            return -np.inf
        heard = (levels > ABSOLUTE_GATE) & (levels > _level(powers[heard].mean()) + RELATIVE_GATE)
        return float(_level(powers[heard].mean())) if heard.any() else -np.inf


def _level(power: np.ndarray) -> np.ndarray:
    return -0.691 + 10 * np.log10(power)


def _running_energy(samples: np.ndarray) -> np.ndarray:
    """Sum of squares of the K-weighted samples before each sample: [T + 1]."""
    import scipy.signal  # here, since it takes a second of CPU time that those who only read lists need not pay

    energy = np.zeros(len(samples) + 1)
    weighted = scipy.signal.lfilter(*_k_weighting(), samples.astype(np.float64))
    np.cumsum(np.square(weighted, out=weighted), out=energy[1:])
    return energy


@cache
def _k_weighting() -> tuple[np.ndarray, np.ndarray]:
    """The two stages as one filter, which halves the time. pyloudnorm has them under this private name only."""
    import pyloudnorm

    shelf, high_pass = pyloudnorm.Meter(SAMPLE_RATE)._filters.values()
    return np.convolve(shelf.b, high_pass.b), np.convolve(shelf.a, high_pass.a)
