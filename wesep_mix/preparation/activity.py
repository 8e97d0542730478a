"""Where speech is, and where a noise is silent.

WebRTC voice activity detection finds where an utterance is speech, and its crops that hold most of it. In silent
stretches of a noise no SNR can be reached, so a mixture's noise does not begin there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import webrtcvad

from wesep_mix.io.audio import SAMPLE_RATE, SPEECH_DC_DB, dc_offset
from wesep_mix.preparation.loudness import ABSOLUTE_GATE, crop_loudness

VAD_FRAME_S = 0.03  # WebRTC VAD takes frames of 10, 20 or 30 ms
Stretch = tuple[int, int]  # first sample, and the one after the last
GRID_S = 0.51  # candidate crops start on this grid, a whole number of frames


@dataclass(frozen=True, slots=True)
class Crop:
    """A stretch of an utterance: first sample, share of frames with speech, and loudness in LUFS.

    dc: constant that the crop is mixed without; the loudness is that of the crop without it.
    """

    start: int
    speech: float
    lufs: float
    dc: float = 0.0


def speech_frames(samples: np.ndarray, mode: int = 3) -> np.ndarray:
    """Detect voice activity.

    Args:
        samples: float [T] at 16 kHz.
        mode: WebRTC's, 0 to 3; 3 takes the fewest frames for speech.

    Returns:
        bool [L], one for each whole 30 ms frame.
    """
    size = round(VAD_FRAME_S * SAMPLE_RATE)
    pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    starts = range(0, len(pcm) - 2 * size + 1, 2 * size)  # in bytes
    detector = webrtcvad.Vad(mode)
    return np.array([detector.is_speech(pcm[start : start + 2 * size], SAMPLE_RATE) for start in starts], dtype=bool)


def stretches_of(frames: np.ndarray, size: int = round(VAD_FRAME_S * SAMPLE_RATE)) -> tuple[Stretch, ...]:
    """Where there is speech.

    Args:
        frames: voice activity, bool [L].
        size: samples of a frame.

    Returns:
        First sample of each stretch, and the one after its last, in order.
    """
    bounds = (size * np.flatnonzero(np.diff(np.concatenate([[False], frames, [False]])))).tolist()
    return tuple(zip(bounds[::2], bounds[1::2], strict=True))


def closed(stretches: Iterable[Stretch], gap: int) -> list[Stretch]:
    """Stretches as one where they overlap, or less than `gap` samples lie between them.

    Args:
        stretches: in order of their beginnings.
        gap: see above.

    Returns:
        The stretches, in order and apart.
    """
    joined: list[Stretch] = []
    for first, end in stretches:
        if joined and first - joined[-1][1] < gap:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((first, end))
    return joined


def best_crops(
    samples: np.ndarray,
    num_samples: int,
    max_crops: int,
    min_share: float = 0.9,
    frames: np.ndarray | None = None,
) -> list[Crop]:
    """Find the crops of an utterance that hold most speech.

    The first is the best of all starts on the frame grid, the earliest of equals. The others lie on a half-second grid,
    in order of their speech.

    Args:
        samples: the utterance, float [T] at 16 kHz.
        num_samples: length of a crop.
        max_crops: how many crops at most.
        min_share: least speech of the others, as a share of the first one's.
        frames: the utterance's voice activity, if it is known: bool [L].

    Returns:
        The crops; none if the utterance is shorter than a crop or holds no speech.
    """
    if len(samples) < num_samples:
        return []
    size = round(VAD_FRAME_S * SAMPLE_RATE)
    active = np.concatenate([[0], np.cumsum(speech_frames(samples) if frames is None else frames)])
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
    """The crop of these samples; `lufs` is their loudness, measured again if they have an offset."""
    dc = dc_offset(samples, SPEECH_DC_DB)
    if dc:
        lufs = crop_loudness(samples - np.float32(dc), [0], len(samples))[0]
    return Crop(start, speech, lufs, dc)


FRAME_S = 0.01
PAUSE_S = 0.25  # shorter silence is part of a noise; below the 0.4 s of the shortest mixture
STEP = np.float32(2.01 / 32768)  # how far 16-bit samples that rest on one value may move, dither included


def silent_stretches(samples: np.ndarray) -> tuple[Stretch, ...]:
    """Find where a noise, which starts over at its end, must not begin.

    From every other sample, a frame that sounds follows within PAUSE_S. Silent is a frame that hardly leaves one value,
    which need not be 0. The last frame before a stretch belongs to the stretch: its sound may be over.

    Args:
        samples: the noise, float [T] at 16 kHz.

    Returns:
        The stretches in order; () if it sounds all along.
    """
    starts = np.arange(0, len(samples), round(FRAME_S * SAMPLE_RATE))
    sounds = np.maximum.reduceat(samples, starts) - np.minimum.reduceat(samples, starts) > STEP
    pause = round(PAUSE_S / FRAME_S)
    before_silence = ~_any_of(sounds, range(1, pause + 1))
    silent = _any_of(before_silence, range(-pause, 1))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], silent, [False]])))
    bounds = np.append(starts, len(samples))[edges].tolist()
    return tuple(zip(bounds[::2], bounds[1::2], strict=True))


def _any_of(frames: np.ndarray, places: range) -> np.ndarray:
    """For every frame, whether any frame at these distances from it is true; the first frame follows the last."""
    return np.any([np.roll(frames, -place) for place in places], axis=0)
