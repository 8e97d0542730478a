import numpy as np
import pytest
import soundfile

from wesep_mix.mixing.plan import Noise, Plan, Source

RATE = 16000
SECONDS = 1


@pytest.fixture(scope="session")
def corpus(tmp_path_factory, buzz):
    """A folder with one utterance each of six speakers, a to f, and a noise."""
    folder = tmp_path_factory.mktemp("corpus")
    for place, spk in enumerate("abcdef"):
        soundfile.write(folder / f"{spk}.wav", buzz(100 + 20 * place, SECONDS), RATE)
    soundfile.write(folder / "noise.wav", 0.1 * np.random.default_rng(0).standard_normal(RATE), RATE)
    return folder


@pytest.fixture(scope="session")
def mixture_of(corpus):
    """Function: speakers' names -> plan of their mixture, with utterances that no other mixture has."""

    def make(*speakers: str, mix: str = "") -> Plan:
        size, step, mix = SECONDS * RATE, 3000, mix or "_".join(speakers)
        sources = tuple(
            Source(f"{spk}-{mix}", spk, "f", str(corpus / f"{spk}.wav"), 0, size, step * place, 1.0, -25.0)
            for place, spk in enumerate(speakers)
        )
        length = size + step * (len(speakers) - 1)
        noise = Noise("noise", str(corpus / "noise.wav"), 100, RATE, 10.0)
        return Plan(mix, length, sources, noise, (0.9,) * (len(speakers) - 1))

    return make


@pytest.fixture(scope="session")
def plans(mixture_of):
    """Three mixtures of two."""
    return [mixture_of("a", "b"), mixture_of("c", "d"), mixture_of("b", "e")]
