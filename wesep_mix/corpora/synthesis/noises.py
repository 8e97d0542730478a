"""Three kinds of generated noise: coloured (stationary), modulated (its level moves) and babble (many talkers)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.io.audio import SAMPLE_RATE, read_audio

KINDS = ("babble", "coloured", "modulated")
_PEAK = 0.7
_MAX_BAD = 20


def coloured(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Gaussian noise with a random slope, -7 to +3 dB an octave from 80 Hz, and broad bumps.

    Args:
        rng: draws all of it.
        num_samples: T.

    Returns:
        float32 [T].
    """
    num_bins = num_samples // 2 + 1
    spectrum = rng.standard_normal(num_bins) + 1j * rng.standard_normal(num_bins)
    frequency = np.maximum(np.linspace(0, SAMPLE_RATE / 2, num_bins), 80.0)
    octave = np.log2(frequency / 1000.0)
    level_db = rng.uniform(-7.0, 3.0) * octave
    for _ in range(int(rng.integers(1, 5))):
        centre, width, height = rng.uniform(-3, 2.8), rng.uniform(0.2, 1.2), rng.uniform(-8, 12)
        level_db += height * np.exp(-0.5 * ((octave - centre) / width) ** 2)
    return _normalise(np.fft.irfft(spectrum * 10 ** (level_db / 20), num_samples))


def modulated(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Coloured noise whose level swings at rates of 0.3 to 12 Hz, by up to 25 dB.

    Args:
        rng: draws all of it.
        num_samples: T.

    Returns:
        float32 [T].
    """
    time_s = np.arange(num_samples) / SAMPLE_RATE
    swing = np.zeros(num_samples)
    for _ in range(int(rng.integers(2, 5))):
        rate = np.exp(rng.uniform(np.log(0.3), np.log(12.0)))
        wander_rate, first, second = rng.uniform(0.05, 0.3), *rng.uniform(0, 2 * np.pi, 2)
        wander = rng.uniform(0.5, 3.0) * np.sin(2 * np.pi * wander_rate * time_s + first)
        swing += rng.uniform(0.4, 1.0) * np.sin(2 * np.pi * rate * time_s + wander + second)
    depth_db = rng.uniform(10.0, 25.0)
    swing_db = depth_db * (swing - swing.max()) / np.ptp(swing)
    return _normalise(coloured(rng, num_samples) * 10 ** (swing_db / 20))


def babble(rng: np.random.Generator, num_samples: int, speech: Sequence[Path]) -> np.ndarray:
    """Sum of 8 to 14 streams of utterances, at levels up to 5 dB apart.

    Args:
        rng: draws all of it.
        num_samples: T.
        speech: the files that utterances are drawn from.

    Returns:
        float32 [T].

    Raises:
        UserError: file after file cannot be read.
    """
    total = np.zeros(num_samples)
    for _ in range(int(rng.integers(8, 15))):
        total += 10 ** (rng.uniform(-5.0, 0.0) / 20) * _stream(rng, num_samples, speech)
    return _normalise(total)


def _stream(rng: np.random.Generator, num_samples: int, speech: Sequence[Path]) -> np.ndarray:
    """Utterances one after the other, each at the same power, beginning somewhere inside the first one."""
    skip = int(rng.integers(0, 3 * SAMPLE_RATE))
    parts: list[np.ndarray] = []
    num_bad = 0
    while sum(map(len, parts)) < num_samples + skip:
        try:
            samples = read_audio(speech[int(rng.integers(len(speech)))])
        except UserError:  # damaged files are reported when the speech itself is listed
            num_bad += 1
            if num_bad > _MAX_BAD:
                raise
            continue
        parts.append(samples / max(float(np.sqrt(np.mean(samples**2))), 1e-6))
    return np.concatenate(parts)[skip : skip + num_samples]


def _normalise(samples: np.ndarray) -> np.ndarray:
    return (samples * (_PEAK / np.abs(samples).max())).astype(np.float32)
