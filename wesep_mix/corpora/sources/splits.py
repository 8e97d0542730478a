"""Splitting names (speakers, noise files) into train, dev and test; and what a folder lacks of a published corpus.

Numbers of files and speakers of LibriSpeech's subsets are those that its authors publish (openslr.org/12); numbers of
files of MUSAN's (openslr.org/17, arXiv 1510.08484) and WHAM!'s parts (arXiv 1907.01160, as LibriMix takes them)
likewise.
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
    """Split names into disjoint sets of which none is empty; the order of the names does not matter.

    Args:
        names: different names.
        split: shares of dev and test.
        seed: of the split.
        what: how the error begins.

    Returns:
        {"train", "dev" or "test": names}.

    Raises:
        UserError: there are too few names.
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
    """A line for every published subset among `subsets` whose number of files or speakers is not the published one."""
    lines = []
    for name, utterances in subsets.items():
        found = (len(utterances), len({utterance.speaker for utterance in utterances}))
        wanted = LIBRISPEECH.get(name, found)
        if found != wanted:
            lines.append(f"{name}: wanted {wanted[0]} files of {wanted[1]} speakers, found {found[0]} of {found[1]}")
    return lines


def noise_shortfalls(files: Sequence[NoiseFile], prefixes: Sequence[str]) -> list[str]:
    """Compare numbers of noise files with the published ones.

    Args:
        files: all files that are there of a corpus, chosen or not.
        prefixes: kinds that are chosen; only the published parts that they touch are compared.

    Returns:
        A line for every part that is not whole.
    """
    lines = []
    for part, wanted in NOISE.items():
        if any(is_under(part, prefix) or is_under(prefix, part) for prefix in prefixes):
            found = sum(is_under(file.kind, part) for file in files)
            if found != wanted:
                lines.append(f"{part}: wanted {wanted} files, found {found}")
    return lines


def is_under(kind: str, prefix: str) -> bool:
    """Whether a kind is a prefix or a part of it: musan/noise/free-sound is under musan/noise, not under musan/no.

    Args:
        kind: kind of a noise.
        prefix: what is chosen.

    Returns:
        True if it is.
    """
    return PurePosixPath(kind).is_relative_to(prefix)
