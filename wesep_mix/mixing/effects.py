"""What rooms, microphones and files do to a mixture: reverberation, clipping, band limits, codecs.

Each takes a mixture with its parts and gives another one. Whatever is no longer of a talker goes to the noise, so that
a mixture stays the sum of its sources and its noise.

S sources, T samples.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import soundfile
from scipy.signal import fftconvolve, firwin

from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.mixing.render import PEAK, Rendered

EARLY_S = 0.05  # reflections up to here after the direct sound are heard as part of it
TAPS = 255  # of the filters of a band limit: 200 Hz from what passes to what does not
CUTOFF_HZ = (3000.0, 7000.0)
LOW_HZ = 300.0  # of a telephone, together with a cutoff
CLIPPED_AT = (0.2, 0.8)  # of the peak
CODECS = {  # format and subtype of libsndfile: its compression, from 0 (none of its means) to 1, lowest and highest
    ("OGG", "VORBIS"): (0.5, 1.0),
    ("OGG", "OPUS"): (0.9, 0.99),
    ("MP3", "MPEG_LAYER_III"): (0.5, 0.9),
    ("WAV", "GSM610"): None,
}


def reverberated(audio: Rendered, responses: Sequence[np.ndarray]) -> Rendered:
    """Put the talkers of a mixture into a room.

    Each source becomes its direct sound with the reflections of the 50 ms after it, in the place and with the power
    that it had; all later ones go to the noise. The noise, as it was recorded, has its own room.

    Args:
        audio: the mixture.
        responses: the room's impulse response for each source, float [its length], from the source to the microphone.

    Returns:
        The mixture in the room.
    """
    size = audio.mix.shape[0]
    sources, tails = np.zeros_like(audio.sources), np.zeros_like(audio.mix)
    for row, source, response in zip(sources, audio.sources, responses, strict=True):
        direct = int(np.abs(response).argmax())
        split = direct + round(EARLY_S * SAMPLE_RATE)
        early = fftconvolve(source, response[:split].astype(np.float32))[direct : direct + size]
        if power := float(np.square(early, dtype=np.float64).sum()):
            gain = np.float32(np.sqrt(float(np.square(source, dtype=np.float64).sum()) / power))
            row[: len(early)] = gain * early
            if len(late := response[split:]):
                tails[split - direct :] += gain * fftconvolve(source, late.astype(np.float32))[: size - split + direct]
    return _whole(sources, audio.noise + tails)


def band_limited(audio: Rendered, high_hz: float, low_hz: float = 0.0) -> Rendered:
    """Take away what is above a frequency, and below another, from a mixture and its parts alike.

    Args:
        audio: the mixture.
        high_hz: from here on next to nothing is left.
        low_hz: and up to here; 0: only the former.

    Returns:
        The mixture without it.
    """
    cutoff = [low_hz, high_hz] if low_hz else high_hz
    taps = firwin(TAPS, cutoff, pass_zero=not low_hz, fs=SAMPLE_RATE).astype(np.float32)
    parts = np.concatenate([audio.sources, audio.noise[None]])
    heard = fftconvolve(parts, taps[None], axes=1)[:, TAPS // 2 :][:, : parts.shape[1]]
    return _whole(np.ascontiguousarray(heard[:-1]), np.ascontiguousarray(heard[-1]))


def clipped(audio: Rendered, share: float) -> Rendered:
    """Cut a mixture off where it is louder than a share of its peak; the sources stay whole."""
    limit = np.float32(share) * np.abs(audio.mix).max(initial=0.0)
    return _heard(audio, audio.mix.clip(-limit, limit))


def coded(audio: Rendered, kind: tuple[str, str], compression: float | None) -> Rendered:
    """Store a mixture by a lossy codec and read it again; the sources stay as they were.

    Args:
        audio: the mixture.
        kind: one of CODECS.
        compression: libsndfile's, 0 to 1; None where the codec has one form.

    Returns:
        The mixture as it was read.
    """
    file, (form, subtype) = io.BytesIO(), kind
    more = {} if compression is None else {"compression_level": compression}
    soundfile.write(file, audio.mix, SAMPLE_RATE, format=form, subtype=subtype, **more)
    file.seek(0)
    read = soundfile.read(file, dtype="float32")[0][: len(audio.mix)]  # the last block may be filled up
    return _heard(audio, np.pad(read, (0, len(audio.mix) - len(read))))


def _whole(sources: np.ndarray, noise: np.ndarray) -> Rendered:
    """The mixture of these parts, which are changed, as loud as mixtures may be."""
    mix = noise.copy()
    for source in sources:
        mix += source
    peak = float(np.abs(mix).max(initial=0.0))
    if peak > PEAK:
        for part in (mix, sources, noise):
            part *= np.float32(PEAK / peak)
    return Rendered(mix, sources, noise)


def _heard(audio: Rendered, mix: np.ndarray) -> Rendered:
    """Another mixture of the same sources: all else is noise."""
    noise = mix.copy()
    for source in audio.sources:
        noise -= source
    return Rendered(mix, audio.sources, noise)
