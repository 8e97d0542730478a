"""Where the speech is: WebRTC voice activity detection, and the crops of an utterance that hold most of it.

Where a noise is silent: an SNR cannot be reached there, so it does not begin there in a mixture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import webrtcvad

from wesep_mix.io.audio import SAMPLE_RATE, SPEECH_DC_DB, dc_offset
from wesep_mix.preparation.loudness import ABSOLUTE_GATE, crop_loudness

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
    crops = [
        _crop(samples[s * size :][:num_samples], s * size, float(counts[s] / width), lufs)
        for s, lufs in zip(chosen, levels, strict=True)
    ]
    return [crop for crop in crops if crop.lufs > ABSOLUTE_GATE]


def _crop(samples: np.ndarray, start: int, speech: float, lufs: float) -> Crop:
    """The crop of these samples, whose loudness is `lufs` where they have no offset."""
    dc = dc_offset(samples, SPEECH_DC_DB)
    if dc:
        lufs = crop_loudness(samples - np.float32(dc), [0], len(samples))[0]
    return Crop(start, speech, lufs, dc)


FRAME_S = 0.01
PAUSE_S = 0.25  # shorter silence is part of a noise; below the 0.4 s of the shortest mixture
STEP = np.float32(2.01 / 32768)  # what 16-bit samples that rest on one value may move, dithered too

Stretch = tuple[int, int]  # first sample, and the one after the last


def silent_stretches(samples: np.ndarray) -> tuple[Stretch, ...]:
    """Where a noise [T], which starts over at its end, must not begin; () where it sounds all along.

    From every other sample on a frame that sounds follows within PAUSE_S. Silent is what hardly leaves one value,
    which need not be 0. The last frame before a stretch belongs to it: its sound may be over.
    """
    starts = np.arange(0, len(samples), round(FRAME_S * SAMPLE_RATE))
    sounds = np.maximum.reduceat(samples, starts) - np.minimum.reduceat(samples, starts) > STEP
    ahead = round(PAUSE_S / FRAME_S)
    before_silence = ~_any_of(sounds, range(1, ahead + 1))
    silent = _any_of(before_silence, range(-ahead, 1))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], silent, [False]])))
    bounds = np.append(starts, len(samples))[edges].tolist()
    return tuple(zip(bounds[::2], bounds[1::2], strict=True))


def _any_of(frames: np.ndarray, places: range) -> np.ndarray:
    """For every frame whether any of those at `places` from it is true; the first follows the last."""
    return np.any([np.roll(frames, -place) for place in places], axis=0)
