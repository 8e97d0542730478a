"""Where a noise is silent: an SNR cannot be reached there, so it does not begin there in a mixture."""

from __future__ import annotations

import numpy as np

from wesep_mix.io.audio import SAMPLE_RATE

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
