"""Noise corpora that have parts, from which the sets choose by kind: `{train: [musan/noise], test: [wham/tt]}`.

MUSAN (arXiv 1510.08484): ROOT/{music,noise,speech}/subpart/*.wav; noise has free-sound and sound-bible.
WHAM! noise (arXiv 1907.01160): ROOT/{tr,cv,tt}/*.wav, two channels at 16 kHz.

These are readers and no corpora of their own, since neither has speech for training; the corpus `librispeech` uses
them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from wesep_mix.base.errors import UserError
from wesep_mix.base.names import SETS
from wesep_mix.corpora.sources.entries import NoiseFile, Problems
from wesep_mix.corpora.sources.folders import folder_with
from wesep_mix.corpora.sources.splits import FETCH, TAKE, is_under, noise_shortfalls
from wesep_mix.io.folders import audio_files, existing_folder

MUSAN_PARTS = ("music", "noise", "speech")


def musan_files(folder: str | Path) -> list[NoiseFile]:
    """List all of MUSAN.

    `kind` is musan/<part>/<subpart>, as in musan/noise/free-sound; `id` is the file's name, which says the same.

    Args:
        folder: `musan` itself, or the folder that it is in.

    Returns:
        Its files.

    Raises:
        UserError: there is no such folder, or none of MUSAN's parts in it.
    """
    root, parts = folder_with(folder, "musan", MUSAN_PARTS, "--musan DIR")
    files = []
    for part in parts:
        for path in audio_files(root / part):
            subpart = path.relative_to(root / part).parts[:-1][:1]
            files.append(NoiseFile(path.stem, path, "/".join(("musan", part, *subpart))))
    return files


WHAM_PARTS = ("tr", "cv", "tt")
_FASTER_OR_SLOWER = ("sp08", "sp12")  # copies of tr that LibriMix's scripts write beside the originals


def wham_files(folder: str | Path) -> list[NoiseFile]:
    """List WHAM!'s noises, without LibriMix's copies at other speeds.

    `kind` is wham/<part>, as in wham/tt; `id` is <part>-<name of the file>.

    Args:
        folder: `wham_noise` itself, or the folder that it is in.

    Returns:
        Its files.

    Raises:
        UserError: there is no such folder, or none of tr, cv, tt in it.
    """
    root, parts = folder_with(folder, "wham_noise", WHAM_PARTS, "--wham DIR")
    return [
        NoiseFile(f"{part}-{path.stem}", path, f"wham/{part}")
        for part in parts
        for path in audio_files(root / part)
        if not path.stem.endswith(_FASTER_OR_SLOWER)
    ]


READERS = {"musan": musan_files, "wham": wham_files}


def check_choice(noises: Mapping[str, Sequence[str]]) -> None:
    """Raises: ValueError if a set is missing, a kind is of no known corpus, or two sets share noise."""
    if sorted(noises) != sorted(SETS) or not all(noises.values()):
        raise ValueError(f"noises: wanted kinds for each of {', '.join(SETS)}, found {dict(noises)}")
    chosen = [(name, prefix) for name in SETS for prefix in noises[name]]
    for place, (name, prefix) in enumerate(chosen):
        if corpus_of(prefix) not in READERS:
            raise ValueError(f"noises: wanted kinds such as musan/noise/free-sound or wham/tt, found {prefix!r}")
        for other_name, other in chosen[:place]:
            if is_under(prefix, other) or is_under(other, prefix):
                raise ValueError(f"noises: wanted each kind once, found {other} in {other_name}, {prefix} in {name}")


def read_noises(
    noises: Mapping[str, Sequence[str]], folders: Mapping[str, str], whole: bool, problems: Problems
) -> dict[str, list[NoiseFile]]:
    """List the noise of each set: the files whose kind is one of the set's prefixes, or under one.

    Args:
        noises: {set: prefixes of kinds}.
        folders: {corpus ("musan", "wham"): its folder, "" if the user did not name it}; only what is chosen from is
            read.
        whole: also compare the numbers of files with the published ones.
        problems: gets what is wrong: a folder that is missing, a prefix that matches nothing, other numbers of files.

    Returns:
        The noise of each set.
    """
    found: dict[str, list[NoiseFile]] = {}
    prefixes = [prefix for name in SETS for prefix in noises[name]]
    for corpus in corpora_of(noises):
        chosen = [prefix for prefix in prefixes if corpus_of(prefix) == corpus]
        with problems.gathering():
            found[corpus] = READERS[corpus](noise_folder_of(corpus, folders))
            _check(found[corpus], chosen, f"--{corpus} {folders[corpus]}", whole, problems)
    files = [file for corpus in found.values() for file in corpus]
    return {name: [file for file in files if _is_any(file.kind, noises[name])] for name in SETS}


def corpora_of(noises: Mapping[str, Sequence[str]]) -> list[str]:
    """The corpora from which a choice takes noise."""
    return sorted({corpus_of(prefix) for prefixes in noises.values() for prefix in prefixes})


def noise_folder_of(corpus: str, folders: Mapping[str, str]) -> Path:
    """Folder of a noise corpus.

    Args:
        corpus: its name.
        folders: {corpus: its folder, "" if the user did not name it}.

    Returns:
        Its folder.

    Raises:
        UserError: the user did not name it, or it is not there.
    """
    if not folders[corpus]:
        raise UserError(f"{corpus}_dir is not set, and its noise is wanted: name the folder with --{corpus} DIR")
    return existing_folder(folders[corpus])


def corpus_of(kind: str) -> str:
    """The corpus that a kind of noise is of: `musan` of musan/noise/free-sound."""
    return kind.split("/")[0]


def _check(files: Sequence[NoiseFile], prefixes: Sequence[str], where: str, whole: bool, problems: Problems) -> None:
    kinds = sorted({file.kind for file in files})
    there = [prefix for prefix in prefixes if any(is_under(kind, prefix) for kind in kinds)]
    for prefix in sorted(set(prefixes) - set(there)):
        problems.add(f"{where}: no noise of kind {prefix} (there are: {', '.join(kinds) or 'none'})", FETCH)
    for line in noise_shortfalls(files, there) if whole else ():
        problems.add(f"{where}: {line}", FETCH, TAKE)


def _is_any(kind: str, prefixes: Sequence[str]) -> bool:
    return any(is_under(kind, prefix) for prefix in prefixes)
