"""Where the speech is: WebRTC voice activity detection, and the crops of an utterance that hold most of it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pyloudnorm
import webrtcvad

from wesep_mix.io.audio import SAMPLE_RATE

FRAME_S = 0.03  # WebRTC VAD takes frames of 10, 20 or 30 ms
GRID_S = 0.51  # candidate crops start on this grid, a whole number of frames
MIN_LUFS = -70.0  # below this ITU-R BS.1770 gates everything out


@dataclass(frozen=True)
class Crop:
    """A stretch of an utterance: first sample, share of frames with speech, loudness in LUFS."""

    start: int
    speech: float
    lufs: float


def speech_frames(samples: np.ndarray, mode: int = 3) -> np.ndarray:
    """Voice activity of float samples [T] at 16 kHz, a boolean for each whole 30 ms frame: [L]."""
    size = round(FRAME_S * SAMPLE_RATE)
    pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2")
    frames = pcm[: len(pcm) // size * size].reshape(-1, size)  # [L, size]
    detector = webrtcvad.Vad(mode)
    return np.array([detector.is_speech(frame.tobytes(), SAMPLE_RATE) for frame in frames], dtype=bool)


def best_crops(samples: np.ndarray, num_samples: int, max_crops: int, min_share: float = 0.9) -> list[Crop]:
    """Up to `max_crops` crops of `num_samples` samples, the one with most speech first.

    The first is the best of all starts (on the frame grid; the earliest of equals); the others lie on a half-second
    grid, hold at least `min_share` of its speech, and are taken in order of their speech. Empty when the utterance
    is shorter than a crop or holds no speech.
    """
    if len(samples) < num_samples:
        return []
    size = round(FRAME_S * SAMPLE_RATE)
    active = np.concatenate([[0], np.cumsum(speech_frames(samples))])
    width = num_samples // size
    starts = np.arange((len(samples) - num_samples) // size + 1)
    counts = active[np.minimum(starts + width, len(active) - 1)] - active[starts]  # frames with speech, per start
    best = int(np.argmax(counts))
    if counts[best] == 0:
        return []
    grid = starts[:: round(GRID_S / FRAME_S)]
    others = [int(s) for s in grid if s != best and counts[s] >= min_share * counts[best]]
    chosen = [best, *sorted(others, key=lambda s: (-counts[s], s))][:max_crops]
    crops = [Crop(s * size, float(counts[s] / width), _loudness(samples[s * size :][:num_samples])) for s in chosen]
    return [crop for crop in crops if crop.lufs > MIN_LUFS]


def _loudness(samples: np.ndarray) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pyloudnorm warns of silence, which is told apart by MIN_LUFS
        return float(pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(samples))
