"""Synthetic talkers: what makes one espeak-ng voice differ from another, drawn so that a set is spread out.

The size of a voice's vocal tract is made in two ways: by its formant frequencies (in the variant file) and by a small
change of the playback rate, which also moves the recorded noises of the consonants. Pitch and speed make up for that
change of rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wesep_mix.base.files import atomic_write
from wesep_mix.base.seeds import rng_for

ACCENTS = (
    "en-us", "en-gb-x-rp", "en-gb-scotland", "en-029", "en-gb-x-gbclan", "en-us-nyc", "en-gb-x-gbcwmd", "en",
)  # fmt: skip
_PITCH_HZ = {"M": (76.0, 150.0), "F": (145.0, 250.0)}
_TRACT = {"M": (0.86, 1.06), "F": (1.02, 1.24)}  # formant frequencies relative to espeak's own male voice
_NUM_FORMANTS = 9  # espeak's formant 0 is a low-frequency part below the first formant
_BREATH_SHAPE = (0.5, 0.8, 1.0, 1.0, 0.8, 0.7, 0.5, 0.4)  # over formants 1 to 8
_NUM_DIMENSIONS = 24
_TRIALS = 50


@dataclass(frozen=True)
class Voice:
    """One synthetic talker; `variant` is the text of its espeak variant file."""

    name: str
    sex: str
    accent: str
    words_per_minute: int
    playback: float  # > 1: played faster than synthesised, so all frequencies are higher
    variant: str

    @property
    def espeak_name(self) -> str:
        """What espeak calls it: accent and variant."""
        return f"{self.accent}+{self.name}"


def draw_voices(set_name: str, num_voices: int, seed: int) -> list[Voice]:
    """Draw a set's talkers, half of them F, half M; other sets and their sizes do not matter.

    The parameters of each sex are a Latin hypercube: of many drawn, the one whose two nearest voices are farthest
    apart, so that a small set is as spread out as a large one.

    Args:
        set_name: the set, a part of the seed.
        num_voices: how many.
        seed: of the corpus.

    Returns:
        The voices.
    """
    voices = []
    for sex, number in (("F", (num_voices + 1) // 2), ("M", num_voices // 2)):
        points = _spread_points(number, rng_for(seed, "voices", set_name, sex))
        names = [f"{set_name}-{sex.lower()}{index:03d}" for index in range(number)]
        accents = _deal_accents(number, rng_for(seed, "accents", set_name, sex))
        voices += [_voice(name, sex, accent, point) for name, accent, point in zip(names, accents, points, strict=True)]
    return voices


def write_variants(voices: list[Voice], folder: Path) -> None:
    """Write each voice's variant file where espeak wants to find it, `folder/<name>`.

    Args:
        voices: the voices.
        folder: where to write.
    """
    for voice in voices:
        with atomic_write(folder / voice.name) as file:
            file.write(voice.variant)


def _spread_points(number: int, rng: np.random.Generator) -> np.ndarray:
    """Points of the unit cube [number, dimensions]; pitch and tract, which one hears most, count most in the spread."""
    if number < 2:
        return rng.random((number, _NUM_DIMENSIONS))
    weights = np.array([3.0, 3.0] + [1.0] * (_NUM_DIMENSIONS - 2))
    best, best_distance = np.empty(0), -1.0
    for _ in range(_TRIALS):
        points = _latin_hypercube(number, rng)
        scaled = points * weights
        squares = ((scaled[:, None] - scaled[None]) ** 2).sum(-1) + np.diag(np.full(number, np.inf))
        if squares.min() > best_distance:
            best, best_distance = points, squares.min()
    return best


def _latin_hypercube(number: int, rng: np.random.Generator) -> np.ndarray:
    strata = rng.permuted(np.tile(np.arange(number), (_NUM_DIMENSIONS, 1)), axis=1).T
    return (strata + rng.random((number, _NUM_DIMENSIONS))) / number


def _deal_accents(number: int, rng: np.random.Generator) -> list[str]:
    rounds = [rng.permutation(ACCENTS) for _ in range(-(-number // len(ACCENTS)))]
    return [str(accent) for accent in np.concatenate(rounds)[:number]] if rounds else []


def _voice(name: str, sex: str, accent: str, point: np.ndarray) -> Voice:
    """Turn a point of the unit cube into a voice."""
    unit = iter(point)

    def between(low: float, high: float) -> float:
        return low + (high - low) * float(next(unit))

    low, high = _PITCH_HZ[sex]
    pitch = low * (high / low) ** between(0.0, 1.0)
    tract = between(*_TRACT[sex])
    playback = tract**0.5
    excursion = 1.0 + between(0.15, 0.6)
    words_per_minute = between(135.0, 200.0) / playback
    lines = ["language variant", f"name {name}", f"gender {'female' if sex == 'F' else 'male'}"]
    lines.append(f"pitch {pitch / playback:.0f} {pitch * excursion / playback:.0f}")
    lines.append(f"flutter {between(0.0, 1.0) ** 2 * 8:.0f}")
    lines.append(f"roughness {between(0.0, 1.0) ** 1.5 * 5:.0f}")
    lines.append(f"voicing {between(75.0, 115.0):.0f}")
    lines.append(f"consonants {between(60.0, 140.0):.0f} {between(60.0, 140.0):.0f}")
    breath = between(0.0, 1.0) ** 2 * 16
    lines.append("breath " + " ".join(f"{breath * share:.0f}" for share in _BREATH_SHAPE))
    lines.append(_tone(between(0.0, 1.0), between(0.0, 1.0)))
    lines += _formants(tract / playback, between)
    lines.append(f"stressAdd {_stress(between(-30.0, 30.0), between(-20.0, 40.0))}")
    return Voice(name, sex, accent, round(words_per_minute), playback, "\n".join(lines) + "\n")


def _tone(tilt: float, middle: float) -> str:
    """Spectral slope of the voiced sounds: strong (dull) to weak (bright), and the weight of the middle."""
    high = 15 + 200 * tilt
    centre = (170 + high) / 2 * (0.6 + 0.7 * middle)
    return f"tone 500 190 1200 {min(centre, 255):.0f} 2600 {high:.0f} 5000 {high * 0.8:.0f}"


def _formants(scale: float, between) -> list[str]:
    """Frequency, strength and width of each formant in percent: a common scale, and each formant's own deviation."""
    frequencies = [1.0, between(0.92, 1.08), between(0.87, 1.13), between(0.85, 1.15), between(0.82, 1.18)]
    ranges = ((0.4, 1.3), (0.85, 1.1), (0.5, 1.3), (0.4, 1.4), (0.3, 1.5))
    strengths = [between(*limits) for limits in ranges]
    width = between(0.8, 1.6)
    frequencies += [frequencies[4] + 0.02] * (_NUM_FORMANTS - 5)
    strengths += [strengths[4]] * (_NUM_FORMANTS - 5)
    return [
        f"formant {number} {100 * scale * frequency:.0f} {100 * strength:.0f} {100 * width:.0f}"
        for number, (frequency, strength) in enumerate(zip(frequencies, strengths, strict=True))
    ]


def _stress(unstressed: float, tonic: float) -> str:
    """What is added to a syllable's length, by its stress: this makes a talker's rhythm."""
    values = (unstressed, unstressed, unstressed / 2, unstressed, 0, 0, tonic, tonic)
    return " ".join(f"{value:.0f}" for value in values)
