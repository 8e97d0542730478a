"""One utterance of a synthetic talker: sentences with pauses between them, of a wanted length."""

from __future__ import annotations

import numpy as np

from wesep_mix.base.seeds import rng_for
from wesep_mix.corpora.synthesis.espeak import Espeak
from wesep_mix.corpora.synthesis.texts import draw_sentence
from wesep_mix.corpora.synthesis.voices import Voice
from wesep_mix.io.audio import SAMPLE_RATE

_FADE = SAMPLE_RATE // 50
_TRIES = 40


def draw_utterance(espeak: Espeak, voice: Voice, utterance: str, min_s: float, max_s: float, seed: int) -> np.ndarray:
    """Speak one utterance.

    A sentence that would pass `max_s` is drawn again; if none fits, the last one is cut and faded out.

    Args:
        espeak: the synthesiser.
        voice: the talker.
        utterance: the utterance's id, a part of the seed.
        min_s: shortest length in seconds.
        max_s: longest length in seconds.
        seed: of the corpus.

    Returns:
        float32 [T] at 16 kHz, with a peak between -8 and -1.5 dB.
    """
    rng = rng_for(seed, "utterance", utterance)
    espeak.seed(int(rng.integers(1, 2**31)))
    length = round(rng.uniform(min_s, max_s) * SAMPLE_RATE)
    longest, shortest = int(max_s * SAMPLE_RATE), round(min_s * SAMPLE_RATE)
    parts = [np.zeros(int(rng.uniform(0.02, 0.15) * SAMPLE_RATE), np.float32)]
    tries = 0
    while (used := sum(map(len, parts))) < length:
        tries += 1
        sentence = _speak(espeak, voice, draw_sentence(rng, "sentence" if tries < _TRIES // 2 else "short"))
        pause = np.zeros(int(rng.uniform(0.08, 0.4) * SAMPLE_RATE), np.float32)
        if used + len(sentence) + len(pause) <= longest:
            parts += [sentence, pause]
        elif used >= shortest:
            break
        elif tries >= _TRIES:
            parts.append(_fade_out(sentence[: longest - used]))
    samples = np.concatenate(parts)
    peak = 10 ** (rng.uniform(-8.0, -1.5) / 20)
    return samples * np.float32(peak / np.abs(samples).max())


def _speak(espeak: Espeak, voice: Voice, text: str) -> np.ndarray:
    return _trim(espeak.speak(text, voice.espeak_name, voice.words_per_minute, voice.playback))


def _trim(samples: np.ndarray, below_db: float = -50.0) -> np.ndarray:
    """Cut the near-silence off both ends."""
    loud = np.flatnonzero(np.abs(samples) > np.abs(samples).max() * 10 ** (below_db / 20))
    return samples[loud[0] : loud[-1] + 1] if len(loud) else samples[:0]


def _fade_out(samples: np.ndarray) -> np.ndarray:
    num_fade = min(_FADE, len(samples))
    gain = np.ones(len(samples), np.float32)
    gain[len(samples) - num_fade :] = np.linspace(1, 0, num_fade, dtype=np.float32)
    return samples * gain
