"""What tests of several folders need: a sound that passes for speech, and a prepared corpus of a few seconds."""

import numpy as np
import pytest

from wesep_mix.io.audio import write_audio
from wesep_mix.io.files import write_json
from wesep_mix.mixing.draw import MixingConfig
from wesep_mix.mixing.lists import NoiseEntry, SpeechEntry, write_lists
from wesep_mix.mixing.prepare import prepare_plans
from wesep_mix.mixing.settings import CorpusConfig
from wesep_mix.mixing.vad import best_crops
from wesep_mix.stage import STATE_FILE

RATE = 16000
SPEAKERS = {"train": ("ann", "bob", "cem", "dee"), "dev": ("eva", "fay"), "test": ("gus", "hal", "ida")}


@pytest.fixture(scope="session")
def buzz():
    """Function: pitch in Hz, seconds -> samples; syllable-like bursts that WebRTC VAD and PESQ take for speech."""

    def make(pitch: float, seconds: float) -> np.ndarray:
        time = np.arange(int(seconds * RATE)) / RATE
        tone = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 12))
        return (0.1 * tone * np.clip(np.sin(2 * np.pi * 3 * time + pitch), 0, None)).astype(np.float32)

    return make


@pytest.fixture(scope="session")
def settings():
    """Mixtures of half-second segments, so that a batch costs nothing."""
    mixing = MixingConfig(segment_s=0.5, max_crops=2)
    return CorpusConfig(
        corpus=None, mixing=mixing, mixtures={"train": 4, "dev": 3, "test": 3}, single={"train": 4, "dev": 4, "test": 3}
    )


@pytest.fixture(scope="session")
def prepared(tmp_path_factory, buzz, settings):
    """A data folder as stage 1 leaves it: lists/SET, 2mix/SET and single/SET; no test writes into it."""
    folder = tmp_path_factory.mktemp("prepared")
    rng = np.random.default_rng(0)
    for place, (name, speakers) in enumerate(SPEAKERS.items()):
        entries = [
            _utterance(folder, spk, turn, buzz(100 + 40 * place + 12 * number, 1.2 + 0.1 * turn), settings)
            for number, spk in enumerate(speakers)
            for turn in range(2)
        ]
        noise = folder / "noise" / f"{name}.wav"
        write_audio(noise, (0.1 * rng.standard_normal(RATE)).clip(-1, 1).astype(np.float32))
        write_lists(folder / "lists" / name, entries, [NoiseEntry(f"{name}-noise", str(noise), RATE)])
    for name, num_spk in (("single", 1), ("2mix", 2)):
        prepare_plans(settings, folder / "lists", folder / name, num_spk)
        write_json(folder / name / STATE_FILE, {"done": True, "fingerprint": name})
    return folder


def _utterance(folder, spk, turn, samples, settings) -> SpeechEntry:
    path = folder / "speech" / f"{spk}-{turn}.wav"
    write_audio(path, samples)
    crops = best_crops(samples, round(settings.mixing.segment_s * RATE), settings.mixing.max_crops)
    return SpeechEntry(f"{spk}-{turn}", spk, "f", str(path), tuple(crops))
