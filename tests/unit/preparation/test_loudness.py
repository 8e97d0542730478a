"""Against pyloudnorm, which hears one crop at a time."""

import warnings

import numpy as np
import pyloudnorm
import pytest
from places import SHARED

from wesep_mix.io.audio import read_audio
from wesep_mix.preparation.loudness import crop_loudness

RATE = 16000
SPEECH = sorted((SHARED / "data" / "LibriSpeech").rglob("*.flac"))


def reference(samples, start, size) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of silence
        return float(pyloudnorm.Meter(RATE).integrated_loudness(samples[start : start + size]))


def signals():
    """What tells a shared filter from one that begins anew: offsets, steps of level, low rumble, silence."""
    rng, time = np.random.default_rng(0), np.arange(4 * RATE) / RATE
    noise = 0.1 * rng.standard_normal(4 * RATE)
    steps = np.repeat([1.0, 0.001, 0.3, 0.0, 1.0, 0.03, 0.1, 0.5], RATE // 2)
    return {
        "noise": noise,
        "offset": 0.02 * noise + 0.5,
        "steps": steps * noise,
        "late": noise * (time > 2.7),
        "rumble": 0.5 * np.sin(2 * np.pi * 15 * time) + 0.01 * noise,
        "silence": 0 * noise,
        "faint": 1e-4 * noise,
    }


@pytest.mark.parametrize("name", sorted(signals()))
@pytest.mark.parametrize("size", [6400, 7000, 7999, 8000, 8001, 16000, 24123, 48000])
def test_every_crop_is_as_loud_as_pyloudnorm_says(name, size):
    samples = signals()[name].astype(np.float32)
    starts = [4801, 0, 480, 15999, len(samples) - size]
    for start, lufs in zip(starts, crop_loudness(samples, starts, size), strict=True):
        assert lufs == pytest.approx(reference(samples, start, size), abs=0.01)


def test_a_tone_of_full_scale():
    """BS.1770: a 997 Hz sine of full scale has -3.01 LUFS."""
    tone = np.sin(2 * np.pi * 997 * np.arange(3 * RATE) / RATE).astype(np.float32)
    assert crop_loudness(tone, [0, RATE], 2 * RATE) == pytest.approx([-3.01, -3.01], abs=0.1)


def test_a_crop_shorter_than_a_block_is_refused():
    with pytest.raises(ValueError, match="at least 0.4 s, found 6399"):
        crop_loudness(np.zeros(RATE, dtype=np.float32), [0], 6399)


@pytest.mark.skipif(not SPEECH, reason="../shared/data/LibriSpeech is not there")
def test_real_speech():
    for path in SPEECH[::25]:
        samples, size = read_audio(path), 5 * RATE
        starts = list(range(0, len(samples) - size + 1, 17 * 480))[:6]
        for start, lufs in zip(starts, crop_loudness(samples, starts, size), strict=True):
            assert lufs == pytest.approx(reference(samples, start, size), abs=0.01)
