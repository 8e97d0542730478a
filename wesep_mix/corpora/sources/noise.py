"""Noise of a corpus: generated files, or a folder of recordings that is split into train, dev and test.

Generated babble is made of each set's own speech, so that no voice leaks into another set.

Of folders, WHAM! (`tr`, `cv`, `tt`) and one with `train`, `dev`, `test` keep their own split. Of MUSAN (`music`,
`noise`, `speech`) the speech is left out, since a lone talker is no noise in this task. Any other is split by file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from wesep_mix.base.config import Checked, Count, at_least
from wesep_mix.base.errors import UserError
from wesep_mix.base.names import SETS
from wesep_mix.base.parallel import map_items
from wesep_mix.base.seeds import rng_for
from wesep_mix.corpora.sources.entries import NoiseFile, Utterance
from wesep_mix.corpora.sources.folders import remove_unfinished
from wesep_mix.corpora.sources.splits import Split, split_names
from wesep_mix.corpora.synthesis import noises
from wesep_mix.io.audio import SAMPLE_RATE, write_audio
from wesep_mix.io.folders import audio_files, existing_folder

_WITHOUT_SPEECH = {"coloured": noises.coloured, "modulated": noises.modulated}


@dataclass(frozen=True)
class NoiseConfig(Checked):
    """How much noise is generated for each set."""

    files_per_kind: Count = 8
    seconds: Annotated[float, at_least(1, says="1 s or more")] = 24.0


def make_noise(
    config: NoiseConfig, seed: int, speech: Mapping[str, Sequence[Utterance]], folder: Path, nj: int
) -> dict[str, list[NoiseFile]]:
    """Generate the noise files that are missing, as folder/SET/KIND-NN.wav, and list all.

    Args:
        config: how much noise.
        seed: of the corpus.
        speech: each set's utterances, for babble.
        folder: where the files lie.
        nj: number of processes.

    Returns:
        The noise of each set.
    """
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


_OWN_SPLITS = ({"train": "tr", "dev": "cv", "test": "tt"}, {name: name for name in SETS})
_MUSAN = ("music", "noise", "speech")


def noise_files(folder: str | Path, split: Split, seed: int) -> dict[str, list[NoiseFile]]:
    """List the audio files under a folder, set by set; a file's `kind` is its first folder.

    Args:
        folder: the folder that the user named.
        split: shares of dev and test, if the folder has no split of its own.
        seed: of the split.

    Returns:
        The noise of each set.

    Raises:
        UserError: the folder is missing or unreadable, or has no (or fewer than three) audio files.
    """
    root = existing_folder(folder)
    found = audio_files(root)
    if not found:
        raise UserError(f"{root}: wanted noise as wav, flac, ogg or opus files, found no such file")
    for own in _OWN_SPLITS:
        if _has_folders(root, tuple(own.values())):
            return {name: [_noise_file(root, path) for path in audio_files(root / own[name])] for name in own}
    if _has_folders(root, _MUSAN):
        found = [path for path in found if path.relative_to(root).parts[0] != "speech"]
    files = {str(path.relative_to(root)): path for path in found}
    chosen = split_names(list(files), split, seed, f"{root}: noise files")
    return {name: [_noise_file(root, files[key]) for key in sorted(chosen[name])] for name in SETS}


def _has_folders(root: Path, names: tuple[str, ...]) -> bool:
    return all((root / name).is_dir() for name in names)


def _noise_file(root: Path, path: Path) -> NoiseFile:
    relative = path.relative_to(root)
    kind = relative.parts[0] if len(relative.parts) > 1 else "noise"
    return NoiseFile("_".join("-".join(relative.parts).split()), path, kind)
