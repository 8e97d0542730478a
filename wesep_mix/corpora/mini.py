"""The mini corpus: synthetic talkers (espeak-ng), with texts and noises of our own. Nothing is downloaded.

Every file depends on the seed and its own name only: not on nj, on the order, or on what was there already.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated

from wesep_mix.base.config import Checked, Count, at_least
from wesep_mix.base.names import SETS
from wesep_mix.base.parallel import map_items
from wesep_mix.corpora.sources.entries import Corpus, Utterance, check_corpus
from wesep_mix.corpora.sources.folders import remove_unfinished
from wesep_mix.corpora.sources.noise import NoiseConfig, make_noise
from wesep_mix.corpora.synthesis.espeak import Espeak, call_forked, data_folder
from wesep_mix.corpora.synthesis.speech import draw_utterance
from wesep_mix.corpora.synthesis.voices import Voice, draw_voices, write_variants
from wesep_mix.io.audio import write_audio


@dataclass(frozen=True)
class NumVoices(Checked):
    """Of each set."""

    train: Count = 216
    dev: Count = 4
    test: Count = 16


@dataclass(frozen=True)
class NumUtterances(Checked):
    """Of each voice."""

    train: Count = 4
    dev: Count = 8
    test: Count = 8


@dataclass(frozen=True)
class Config(Checked):
    """How much is generated.

    Attributes:
        min_s: seconds of the shortest utterance.
        max_s: seconds of the longest.
    """

    name: str = "mini"
    seed: int = 0
    num_voices: NumVoices = NumVoices()
    utterances_per_voice: NumUtterances = NumUtterances()
    min_s: Annotated[float, at_least(1)] = 6.0
    max_s: float = 10.0
    noise: NoiseConfig = field(default_factory=NoiseConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.min_s < self.max_s:
            raise ValueError(f"wanted min_s < max_s, found min_s {self.min_s}, max_s {self.max_s}")


def collect(config: Config, work_dir: Path, nj: int, max_bad: int = 0) -> Corpus:
    """Generate what is missing of the corpus, and list it.

    It writes speech/VOICE/VOICE-NNN.wav and noise/SET/KIND-NN.wav (16 kHz, 16 bit), and voices/VOICE for espeak. Files
    that are there are kept: a `work_dir` belongs to one config, and stage 1 empties it when that changes.

    Args:
        config: the corpus.
        work_dir: stage 1's folder of this corpus.
        nj: number of processes.
        max_bad: not used, since what is generated is not damaged.

    Returns:
        The corpus.
    """
    work_dir = Path(work_dir)
    for name in ("voices", "speech"):
        remove_unfinished(work_dir / name)
    voices = {name: draw_voices(name, getattr(config.num_voices, name), config.seed) for name in SETS}
    write_variants([voice for name in SETS for voice in voices[name]], work_dir / "voices")
    wanted = [
        (voice, path) for name in SETS for voice in voices[name] for path in _paths(config, name, voice, work_dir)
    ]
    missing = [(voice, path) for voice, path in wanted if not path.exists()]
    if missing:
        with data_folder(work_dir / "voices") as data:
            map_items(partial(_speak, config, data), missing, nj, "speaking")
    speech: dict[str, list[Utterance]] = {name: [] for name in SETS}
    for name in SETS:
        for voice in voices[name]:
            paths = _paths(config, name, voice, work_dir)
            speech[name] += [Utterance(path.stem, voice.name, voice.sex, path) for path in paths]
    noise = make_noise(config.noise, config.seed, speech, work_dir / "noise", nj)
    return check_corpus(Corpus(speech, noise))


def _paths(config: Config, set_name: str, voice: Voice, work_dir: Path) -> list[Path]:
    folder, number = work_dir / "speech" / voice.name, getattr(config.utterances_per_voice, set_name)
    return [folder / f"{voice.name}-{place:03d}.wav" for place in range(number)]


def _speak(config: Config, data: Path, voice_and_path: tuple[Voice, Path]) -> None:
    call_forked(_write_utterance, config, data, *voice_and_path)


def _write_utterance(config: Config, data: Path, voice: Voice, path: Path) -> None:
    samples = draw_utterance(Espeak(data), voice, path.stem, config.min_s, config.max_s, config.seed)
    write_audio(path, samples)
