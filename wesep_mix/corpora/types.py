"""What every corpus hands to the rest of the toolkit: who says what where, and which noise there is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wesep_mix.errors import UserError

SETS = ("train", "dev", "test")


@dataclass(frozen=True, order=True)
class Utterance:
    """One recording of one speaker. `sex` is "F", "M" or, when the corpus does not say, "U"."""

    id: str
    speaker: str
    sex: str
    path: Path


@dataclass(frozen=True, order=True)
class NoiseFile:
    """One noise recording; `kind` says what it is: babble, musan/noise/free-sound, wham/tt."""

    id: str
    path: Path
    kind: str


@dataclass(frozen=True)
class Corpus:
    """Speech and noise of each set in SETS; every list is sorted by id."""

    speech: dict[str, list[Utterance]]
    noise: dict[str, list[NoiseFile]]


def checked(corpus: Corpus) -> Corpus:
    """Return `corpus` with its lists sorted by id.

    Raises: UserError when a set has no speech or no noise, an id is there twice, or a speaker is in two sets.
    """
    for what, files in (("speech", corpus.speech), ("noise", corpus.noise)):
        seen: dict[str, Path] = {}
        for name in SETS:
            if not files.get(name):
                raise UserError(f"set {name}: wanted at least one {what} file, found none")
            for file in files[name]:
                other = seen.setdefault(file.id, file.path)
                if other is not file.path:
                    raise UserError(
                        f"{what} {file.id}: wanted one file of that id, found {other} and {file.path}"
                    )
    check_speakers_disjoint(corpus.speech)
    return Corpus(
        {name: sorted(corpus.speech[name], key=_id) for name in SETS},
        {name: sorted(corpus.noise[name], key=_id) for name in SETS},
    )


def _id(file: Utterance | NoiseFile) -> str:
    return file.id  # comparing whole records takes seconds where there are 100,000


def check_speakers_disjoint(speech: dict[str, list[Utterance]]) -> None:
    """Raises: UserError naming a speaker who is in two sets."""
    owner: dict[str, str] = {}
    for name, utterances in speech.items():
        for utterance in utterances:
            other = owner.setdefault(utterance.speaker, name)
            if other != name:
                raise UserError(
                    f"speaker {utterance.speaker}: wanted in one set, found in {other} and {name}"
                )
