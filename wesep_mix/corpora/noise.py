"""Generated noise files of a corpus; babble is made of each set's own speech, so that no voice leaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from wesep_mix.corpora.folders import remove_unfinished
from wesep_mix.corpora.types import SETS, NoiseFile, Utterance
from wesep_mix.io.audio import SAMPLE_RATE, write_audio
from wesep_mix.parallel import map_items
from wesep_mix.seeds import rng_for
from wesep_mix.synthesis import noises

_WITHOUT_SPEECH = {"coloured": noises.coloured, "modulated": noises.modulated}


@dataclass(frozen=True)
class NoiseConfig:
    """How much noise is generated for each set."""

    files_per_kind: int = 8
    seconds: float = 24.0

    def __post_init__(self) -> None:
        if self.files_per_kind < 1 or self.seconds < 1:
            raise ValueError(f"wanted at least 1 file a kind of at least 1 s, found {self}")


def make_noise(
    config: NoiseConfig, seed: int, speech: Mapping[str, Sequence[Utterance]], folder: Path, nj: int
) -> dict[str, list[NoiseFile]]:
    """Generate the missing files folder/SET/KIND-NN.wav on `nj` processes, and list all."""
    remove_unfinished(folder)
    files = {name: _files(config, name, folder) for name in SETS}
    for name in SETS:
        missing = [file for file in files[name] if not file.path.exists()]
        if missing:
            talkers = sorted(utterance.path for utterance in speech[name])
            map_items(partial(_write, config, seed, talkers), missing, nj, f"{name} noise")
    return files


def _files(config: NoiseConfig, name: str, folder: Path) -> list[NoiseFile]:
    return [
        NoiseFile(f"{name}-{kind}-{number:02d}", folder / name / f"{kind}-{number:02d}.wav", kind)
        for kind in noises.KINDS
        for number in range(config.files_per_kind)
    ]


def _write(config: NoiseConfig, seed: int, talkers: Sequence[Path], file: NoiseFile) -> None:
    rng = rng_for(seed, "noise", file.id)
    num_samples = round(config.seconds * SAMPLE_RATE)
    if file.kind == "babble":
        samples = noises.babble(rng, num_samples, talkers)
    else:
        samples = _WITHOUT_SPEECH[file.kind](rng, num_samples)
    write_audio(file.path, samples)
