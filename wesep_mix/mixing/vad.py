"""Where the speech is: WebRTC voice activity detection, and the crops of an utterance that hold most of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import webrtcvad

from wesep_mix.io.audio import SAMPLE_RATE, SPEECH_DC_DB, dc_offset
from wesep_mix.mixing.loudness import ABSOLUTE_GATE, crop_loudness

VAD_FRAME_S = 0.03  # WebRTC VAD takes frames of 10, 20 or 30 ms
GRID_S = 0.51  # candidate crops start on this grid, a whole number of frames


@dataclass(frozen=True, slots=True)
class Crop:
    """A stretch of an utterance: first sample, share of frames with speech, loudness in LUFS of it without `dc`, the
    constant that it is to be mixed without.
    """

    start: int
    speech: float
    lufs: float
    dc: float = 0.0


def speech_frames(samples: np.ndarray, mode: int = 3) -> np.ndarray:
    """Voice activity of float samples [T] at 16 kHz, a boolean for each whole 30 ms frame: [L]."""
    size = round(VAD_FRAME_S * SAMPLE_RATE)
    pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    starts = range(0, len(pcm) - 2 * size + 1, 2 * size)  # in bytes
    detector = webrtcvad.Vad(mode)
    return np.array([detector.is_speech(pcm[start : start + 2 * size], SAMPLE_RATE) for start in starts], dtype=bool)


def best_crops(samples: np.ndarray, num_samples: int, max_crops: int, min_share: float = 0.9) -> list[Crop]:
    """Up to `max_crops` crops of `num_samples` samples, the one with most speech first.

    The first is the best of all starts (on the frame grid; the earliest of equals); the others lie on a half-second
    grid, hold at least `min_share` of its speech, and are taken in order of their speech. Empty when the utterance
    is shorter than a crop or holds no speech.
    """
    if len(samples) < num_samples:
        return []
    size = round(VAD_FRAME_S * SAMPLE_RATE)
    active = np.concatenate([[0], np.cumsum(speech_frames(samples))])
    width = num_samples // size
    starts = np.arange((len(samples) - num_samples) // size + 1)
    counts = active[np.minimum(starts + width, len(active) - 1)] - active[starts]  # frames with speech, per start
    best = int(np.argmax(counts))
    if counts[best] == 0:
        return []
    grid = starts[:: round(GRID_S / VAD_FRAME_S)]
    others = [int(s) for s in grid if s != best and counts[s] >= min_share * counts[best]]
    chosen = [best, *sorted(others, key=lambda s: (-counts[s], s))][:max_crops]
    levels = crop_loudness(samples, [s * size for s in chosen], num_samples)
    crops = [_crop(samples[s * size :][:num_samples], s * size, float(counts[s] / width), lufs)
             for s, lufs in zip(chosen, levels, strict=True)]
    return [crop for crop in crops if crop.lufs > ABSOLUTE_GATE]


def _crop(samples: np.ndarray, start: int, speech: float, lufs: float) -> Crop:
    """The crop of these samples, whose loudness is `lufs` where they have no offset."""
    dc = dc_offset(samples, SPEECH_DC_DB)
    if dc:
        lufs = crop_loudness(samples - np.float32(dc), [0], len(samples))[0]
    return Crop(start, speech, lufs, dc)
