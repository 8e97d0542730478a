"""Where somebody speaks, in recordings and in sessions: Silero VAD, the network of the package silero-vad.

Stage 1 looks for the speech of clean utterances, for which WebRTC VAD is enough and faster. Of noise alone, that takes
most for speech; this network takes a small part, and still hears a voice that the noise is louder than.

T samples, L frames.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from wesep_mix.preparation.activity import Stretch, stretches_of

FRAME = 512  # samples, 32 ms
SPEECH = 0.2  # least probability; with 0.5, as its authors have it, much is missed where the noise is loud
LEAST_SPEECH = 0.1  # share of a window's frames; in one with less nobody speaks


def voice_frames(samples: np.ndarray) -> np.ndarray:
    """Detect voice activity.

    Args:
        samples: float [T] at 16 kHz.

    Returns:
        bool [L], one for each frame of 32 ms; the last one may be longer than what is left.
    """
    return voice_probabilities(samples) >= SPEECH


def voice_probabilities(samples: np.ndarray) -> np.ndarray:
    """The probability that somebody speaks in each frame: float [T] at 16 kHz -> float32 [L]."""
    return _network().audio_forward(np.ascontiguousarray(samples, dtype=np.float32))


def voice_stretches(frames: np.ndarray, num_samples: int) -> tuple[Stretch, ...]:
    """Where there is speech.

    Args:
        frames: voice activity, bool [L].
        num_samples: T.

    Returns:
        First sample of each stretch, and the one after its last, in order.
    """
    return tuple((begin, min(end, num_samples)) for begin, end in stretches_of(frames, FRAME))


def is_speech(samples: np.ndarray) -> bool:
    """Whether somebody speaks in samples at 16 kHz, [T]."""
    return has_speech(voice_frames(samples))


def has_speech(frames: np.ndarray) -> bool:
    """Whether somebody speaks in a window, by its voice activity, bool [L]."""
    return bool(len(frames)) and bool(frames.mean() >= LEAST_SPEECH)


@lru_cache(maxsize=1)
def _network() -> Any:
    """The network that takes many frames at a time, once in each process; it works in one thread."""
    import torch

    threads = torch.get_num_threads()
    from silero_vad import load_silero_vad  # which leaves all of torch one thread

    torch.set_num_threads(threads)
    return load_silero_vad(sequence=True)
