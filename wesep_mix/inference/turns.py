"""Who speaks when, by what was extracted of each talker of a recording.

A window of the student holds seconds, so what it says of the times is rough. The extracted speech tells them to a
fraction of a second: a talker speaks where there is voice activity and a good part of all talkers' power is theirs. Not
in arXiv 2604.03219, whose second version tracks talkers by windows.

T samples, L frames, S talkers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import uniform_filter1d

from wesep_mix.inference.voice import FRAME, voice_frames, voice_stretches
from wesep_mix.io.audio import SAMPLE_RATE
from wesep_mix.preparation.activity import closed

LEAST_SHARE = 0.3  # of all talkers' power; of 0.1 to 0.5 the least diarisation error on 12 dev sessions of real voices
SMOOTHED = 7  # frames, 0.2 s, over which powers are averaged
GAP_S = 0.3  # a shorter pause of a talker is part of the turn
BLOCK = 4096  # frames whose power is computed at a time, 2 minutes


def turns_of(mix: np.ndarray, speeches: Sequence[np.ndarray]) -> list[tuple[tuple[float, float], ...]]:
    """When each of all talkers of a recording speaks.

    Args:
        mix: the recording, float32 [T] at 16 kHz.
        speeches: S extractions [T], of every talker who was heard, at the level that they have in it.

    Returns:
        For each talker (begin, end) in seconds, in order and apart.
    """
    if not speeches:
        return []
    voiced = voice_frames(mix)
    powers = np.stack([_powers(speech, len(voiced)) for speech in speeches])  # [S, L]
    speaks = voiced & (powers >= LEAST_SHARE * powers.sum(0)) & (powers > 0)
    return [_turns(frames, len(mix)) for frames in speaks]


def _powers(speech: np.ndarray, num_frames: int) -> np.ndarray:
    """The mean power around each frame, float64 [L]."""
    powers = np.zeros(num_frames)
    for first in range(0, num_frames, BLOCK):
        end = min(first + BLOCK, num_frames)
        samples = np.asarray(speech[first * FRAME : end * FRAME], dtype=np.float64)
        samples = np.pad(samples, (0, (end - first) * FRAME - len(samples))).reshape(-1, FRAME)
        powers[first:end] = np.square(samples).mean(1)
    return uniform_filter1d(powers, SMOOTHED, mode="constant")


def _turns(frames: np.ndarray, num_samples: int) -> tuple[tuple[float, float], ...]:
    joined = closed(voice_stretches(frames, num_samples), round(GAP_S * SAMPLE_RATE))
    return tuple((begin / SAMPLE_RATE, end / SAMPLE_RATE) for begin, end in joined)
