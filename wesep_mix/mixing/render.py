"""Plan -> audio. The same plan and corpus give the same samples, whoever renders them.

Sums are numpy's, in a fixed order, never BLAS's, whose order depends on the machine and its number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr

from wesep_mix.base.errors import UserError
from wesep_mix.io.audio import Read, read_audio
from wesep_mix.mixing.plan import Noise, Plan, Source

PEAK = 0.9  # LibriMix's limit; a louder mixture is scaled down as a whole


@dataclass(frozen=True)
class Rendered:
    """A mixture and what it is made of, float32; `mix` is the sum of `sources` over speakers and `noise`."""

    mix: np.ndarray  # [T]
    sources: np.ndarray  # [S, T], silent outside each source's place
    noise: np.ndarray  # [T]


def render(plan: Plan, read: Read = read_audio) -> Rendered:
    """Render a plan; of each file only the samples that are needed are read.

    Every source is its crop, without the constant that the plan gives, times its gain. The noise is scaled so that the
    mean power of the summed speech over the mean power of the noise, both over the whole mixture, is `snr_db`. If the
    peak is above 0.9, all of it is scaled down alike.

    Args:
        plan: the mixture.
        read: `read_audio`, or another way to the same samples (for a test).

    Returns:
        The mixture, its sources and its noise.

    Raises:
        UserError: a file is missing or shorter than planned, or the noise is silent there.
    """
    sources = np.zeros((len(plan.sources), plan.num_samples), dtype=np.float32)
    speech = np.zeros(plan.num_samples, dtype=np.float32)
    for row, source in zip(sources, plan.sources, strict=True):
        place = slice(source.offset, source.offset + source.num_samples)
        row[place] = render_source(source, plan.sample_rate, read)
        speech[place] += row[place]
    noise = render_noise(plan.noise, plan.num_samples, plan.sample_rate, read)
    noise *= _noise_gain(speech, noise, plan.noise)
    mix = np.add(speech, noise, out=speech)
    peak = max(float(mix.max(initial=0.0)), -float(mix.min(initial=0.0)))
    if peak > PEAK:
        for part in (mix, sources, noise):
            part *= np.float32(PEAK / peak)
    return Rendered(mix, sources, noise)


def render_source(source: Source, sample_rate: int, read: Read = read_audio) -> np.ndarray:
    """Render the clean crop of one source at its planned level, before it is placed or scaled with the mixture's peak.

    Args:
        source: the source.
        sample_rate: in Hz.
        read: `read_audio`, or another way to the same samples.

    Returns:
        float32 [num_samples].
    """
    samples = _remove_offset(source.dc, read(source.path, source.start, source.num_read, sample_rate))
    if source.speed != 1:
        faster = soxr.resample(samples, source.speed * sample_rate, sample_rate)[: source.num_samples]
        samples = np.pad(faster, (0, source.num_samples - len(faster)))  # a sample may lack by rounding
    samples *= np.float32(source.gain)
    return samples


def render_noise(noise: Noise, num_samples: int, sample_rate: int, read: Read = read_audio) -> np.ndarray:
    """Read a noise from its start on, before it is scaled; past its end the file starts over.

    Args:
        noise: the noise.
        num_samples: how much of it.
        sample_rate: in Hz.
        read: `read_audio`, or another way to the same samples.

    Returns:
        float32 [num_samples].
    """
    first = read(noise.path, noise.start, min(num_samples, noise.num_samples - noise.start), sample_rate)
    missing = num_samples - len(first)
    if missing == 0:
        return _remove_offset(noise.dc, first)
    again = read(noise.path, 0, min(missing, noise.num_samples), sample_rate)
    return _remove_offset(noise.dc, np.concatenate([first, np.resize(again, missing)]))


def _remove_offset(dc: float, samples: np.ndarray) -> np.ndarray:
    if dc:
        samples -= np.float32(dc)
    return samples


def _noise_gain(speech: np.ndarray, noise: np.ndarray, planned: Noise) -> np.float32:
    speech_power, noise_power = (float(np.square(x, dtype=np.float64).sum()) for x in (speech, noise))
    return noise_gain(speech_power, noise_power, planned)


def noise_gain(speech_power: float, noise_power: float, planned: Noise) -> np.float32:
    """What a noise is multiplied by to reach its SNR.

    Args:
        speech_power: of the summed speech, over the samples that both have.
        noise_power: of the noise as it was read, likewise.
        planned: the noise.

    Returns:
        The linear factor.

    Raises:
        UserError: the noise is silent there.
    """
    if noise_power == 0.0:
        raise UserError(
            f"{planned.path}: wanted an SNR of {planned.snr_db:g} dB, found that the noise {planned.id} is silent "
            f"here, from sample {planned.start} on; redo stage 1 with --force true, which begins no noise where it is "
            "silent"
        )
    return np.float32(np.sqrt(speech_power / noise_power / 10 ** (planned.snr_db / 10)))
