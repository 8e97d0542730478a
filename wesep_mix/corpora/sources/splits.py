"""Deterministic shares of a list of names (speakers, noise files) for train, dev and test.

How many files the public corpora have, and what a folder lacks of them.

LibriSpeech: files and speakers of each subset, as its authors publish them (openslr.org/12). MUSAN (openslr.org/17,
arXiv 1510.08484) and WHAM! noise (arXiv 1907.01160, as LibriMix takes it): files of each part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated

from wesep_mix.base.config import Checked, above
from wesep_mix.base.errors import UserError
from wesep_mix.base.seeds import rng_for
from wesep_mix.corpora.sources.entries import NoiseFile, Utterance


@dataclass(frozen=True)
class Split(Checked):
    """Shares of dev and test; train has the rest."""

    dev: Annotated[float, above(0)] = 0.1
    test: Annotated[float, above(0)] = 0.15

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dev + self.test >= 1:
            raise ValueError(f"split: wanted positive shares of dev and test, together below 1, found {self}")


def split_names(names: Sequence[str], split: Split, seed: int, what: str) -> dict[str, set[str]]:
    """Split different names into disjoint, non-empty sets "train", "dev", "test", whatever their order.

    Raises: UserError, opening with `what`, when there are too few.
    """
    num_dev = max(1, round(split.dev * len(names)))
    num_test = max(1, round(split.test * len(names)))
    if num_dev + num_test >= len(names):
        raise UserError(f"{what}: wanted at least 3 to split into train, dev and test, found {len(names)}")
    order = rng_for(seed, "split").permutation(sorted(names)).tolist()
    return {
        "dev": set(order[:num_dev]),
        "test": set(order[num_dev : num_dev + num_test]),
        "train": set(order[num_dev + num_test :]),
    }


LIBRISPEECH = {
    "train-clean-100": (28539, 251),
    "train-clean-360": (104014, 921),
    "train-other-500": (148688, 1166),
    "dev-clean": (2703, 40),
    "dev-other": (2864, 33),
    "test-clean": (2620, 40),
    "test-other": (2939, 33),
}
NOISE = {
    "musan/noise/free-sound": 843,
    "musan/noise/sound-bible": 87,
    "musan/music": 660,
    "musan/speech": 426,
    "wham/tr": 20000,
    "wham/cv": 5000,
    "wham/tt": 3000,
}
FETCH = "bash tools/download_corpora.sh fetches LibriSpeech, MUSAN and WHAM!"
TAKE = "--set corpus.corpus.whole=false takes the files that are there"


def speech_shortfalls(subsets: Mapping[str, Sequence[Utterance]]) -> list[str]:
    """A line for every published subset among `subsets` whose numbers of files or speakers are others."""
    lines = []
    for name, utterances in subsets.items():
        found = (len(utterances), len({utterance.speaker for utterance in utterances}))
        wanted = LIBRISPEECH.get(name, found)
        if found != wanted:
            lines.append(f"{name}: wanted {wanted[0]} files of {wanted[1]} speakers, found {found[0]} of {found[1]}")
    return lines


def noise_shortfalls(files: Sequence[NoiseFile], prefixes: Sequence[str]) -> list[str]:
    """A line for every published part that `prefixes` choose from, wholly or in part, and that is not whole.

    files: all that there is of a corpus, chosen or not.
    """
    lines = []
    for part, wanted in NOISE.items():
        if any(is_under(part, prefix) or is_under(prefix, part) for prefix in prefixes):
            found = sum(is_under(file.kind, part) for file in files)
            if found != wanted:
                lines.append(f"{part}: wanted {wanted} files, found {found}")
    return lines


def is_under(kind: str, prefix: str) -> bool:
    """Whether `kind` is `prefix` or a part of it: musan/noise/free-sound is under musan/noise, not under musan/no."""
    return PurePosixPath(kind).is_relative_to(prefix)
