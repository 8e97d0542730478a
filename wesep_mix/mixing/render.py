"""Plan -> audio. The same plan and corpus give the same samples, whoever renders it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wesep_mix.io.audio import read_audio
from wesep_mix.mixing.plan import Noise, Plan, Source

PEAK = 0.9  # LibriMix's limit; a louder mixture is scaled down as a whole


@dataclass(frozen=True)
class Rendered:
    """A mixture and what it is made of, float32; `mix` is the sum of `sources` over speakers and `noise`."""

    mix: np.ndarray  # [T]
    sources: np.ndarray  # [S, T], silent outside each source's place
    noise: np.ndarray  # [T]


def render(plan: Plan) -> Rendered:
    """Render a plan.

    Every source is its crop times its gain. The noise is scaled so that mean power of the summed speech over mean
    power of the noise, both over the whole mixture, is `snr_db`. A peak above 0.9 rescales all of it alike.
    Raises: UserError when a file is missing or shorter than planned.
    """
    sources = np.zeros((len(plan.sources), plan.num_samples), dtype=np.float32)
    for row, source in zip(sources, plan.sources, strict=True):
        row[source.offset : source.offset + source.num_samples] = _crop(source, plan.sample_rate)
    speech = sources.sum(axis=0)
    noise = _noise(plan.noise, plan.num_samples, plan.sample_rate)
    noise *= _noise_gain(speech, noise, plan.noise.snr_db)
    mix = speech + noise
    scale = np.float32(min(1.0, PEAK / max(float(np.abs(mix).max()), 1e-9)))
    return Rendered(mix * scale, sources * scale, noise * scale)


def render_source(source: Source, sample_rate: int) -> np.ndarray:
    """The clean crop of one source at its planned level, before placing and clipping protection: [num_samples]."""
    return _crop(source, sample_rate)


def _crop(source: Source, sample_rate: int) -> np.ndarray:
    return read_audio(source.path, source.start, source.num_samples, sample_rate) * np.float32(source.gain)


def _noise(noise: Noise, num_samples: int, sample_rate: int) -> np.ndarray:
    """`num_samples` samples from `noise.start`; past its end the file starts over."""
    first = read_audio(noise.path, noise.start, min(num_samples, noise.num_samples - noise.start), sample_rate)
    missing = num_samples - len(first)
    if missing == 0:
        return first
    whole = read_audio(noise.path, 0, noise.num_samples, sample_rate)
    return np.concatenate([first, np.resize(whole, missing)])


def _noise_gain(speech: np.ndarray, noise: np.ndarray, snr_db: float) -> np.float32:
    speech_power, noise_power = (float(np.mean(x.astype(np.float64) ** 2)) for x in (speech, noise))
    if noise_power == 0.0:
        return np.float32(0.0)
    return np.float32(np.sqrt(speech_power / noise_power / 10 ** (snr_db / 10)))
