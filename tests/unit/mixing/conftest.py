import numpy as np
import pytest

from wesep_mix.io.audio import write_audio
from wesep_mix.mixing.draw import Pool
from wesep_mix.preparation.activity import best_crops
from wesep_mix.preparation.lists import NoiseEntry, SpeechEntry
from wesep_mix.preparation.settings import MixingConfig

RATE = 16000
SPEAKERS = ("ann", "bob", "cem", "dee", "eva")


@pytest.fixture(scope="session")
def pool(tmp_path_factory, voiced_bursts):
    """Five speakers of three utterances with a few crops of 1 s each, and two noises shorter than a mixture."""
    folder, rng = tmp_path_factory.mktemp("pool"), np.random.default_rng(0)
    speech = [
        _utterance(folder, spk, turn, voiced_bursts(100 + 15 * place + 2 * turn, 2.2))
        for place, spk in enumerate(SPEAKERS)
        for turn in range(3)
    ]
    noises = []
    for name, size in (("short", 5000), ("long", 20000)):
        samples = (0.1 * rng.standard_normal(size)).clip(-1, 1).astype(np.float32)
        write_audio(folder / f"{name}.wav", samples, subtype="FLOAT")
        noises.append(NoiseEntry(name, str(folder / f"{name}.wav"), size))
    return Pool.of(speech, noises, MixingConfig(segment_s=1.0))


def _utterance(folder, spk, turn, samples) -> SpeechEntry:
    path = folder / f"{spk}-{turn}.wav"
    write_audio(path, samples, subtype="FLOAT")
    return SpeechEntry(f"{spk}-{turn}", spk, "m", str(path), tuple(best_crops(samples, RATE, 4)))
