"""What every corpus hands to the rest of the toolkit: who says what where, and which noise there is.

`Problems` gathers all that is wrong with the folders that the user named, so that it is reported at once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from wesep_mix.base.errors import UserError
from wesep_mix.base.names import SETS


@dataclass(frozen=True, order=True)
class Utterance:
    """One recording of one speaker; `sex` is "F", "M" or, if the corpus does not say, "U"."""

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


def check_corpus(corpus: Corpus) -> Corpus:
    """Check a corpus and sort its lists by id.

    Args:
        corpus: what a reader found.

    Returns:
        The same corpus, every list sorted.

    Raises:
        UserError: a set has no speech or no noise, an id is there twice, or a speaker is in two sets.
    """
    for what, files in (("speech", corpus.speech), ("noise", corpus.noise)):
        seen: dict[str, Path] = {}
        for name in SETS:
            if not files.get(name):
                raise UserError(f"set {name}: wanted at least one {what} file, found none")
            for file in files[name]:
                other = seen.setdefault(file.id, file.path)
                if other is not file.path:
                    raise UserError(f"{what} {file.id}: wanted one file of that id, found {other} and {file.path}")
    check_speakers_disjoint(corpus.speech)
    return Corpus(
        {name: sorted(corpus.speech[name], key=_id) for name in SETS},
        {name: sorted(corpus.noise[name], key=_id) for name in SETS},
    )


def _id(file: Utterance | NoiseFile) -> str:
    return file.id  # comparing whole records takes seconds if there are 100,000


def check_speakers_disjoint(speech: dict[str, list[Utterance]]) -> None:
    """Raises: UserError naming a speaker who is in two sets."""
    owner: dict[str, str] = {}
    for name, utterances in speech.items():
        for utterance in utterances:
            other = owner.setdefault(utterance.speaker, name)
            if other != name:
                raise UserError(f"speaker {utterance.speaker}: wanted in one set, found in {other} and {name}")


@dataclass
class Problems:
    """Gathers problems, a line each, with advice that several of them may share."""

    lines: list[str] = field(default_factory=list)
    advice: dict[str, None] = field(default_factory=dict)  # in the order of the problems, each once

    def add(self, line: str, *advice: str) -> None:
        """Add a problem.

        Args:
            line: what is wrong.
            advice: what the user can do.
        """
        self.lines.append(line)
        self.advice |= dict.fromkeys(advice)

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """A UserError raised inside is one more problem, and the rest of the block is skipped."""
        try:
            yield
        except UserError as err:
            self.add(str(err))

    def refuse(self) -> None:
        """Raises: UserError if there is a problem; several are written to stderr first, a line each."""
        if not self.lines:
            return
        advice = "".join(f"; {line}" for line in self.advice)
        if len(self.lines) == 1:
            raise UserError(self.lines[0] + advice)
        for line in self.lines:
            print(f"problem: {line}", file=sys.stderr)
        raise UserError(f"{len(self.lines)} problems with the corpus, each on a line above{advice}")
