"""A folder of noise recordings, split into train, dev and test.

WHAM! (`tr`, `cv`, `tt`) and folders `train`, `dev`, `test` keep their own split. Of MUSAN (`music`, `noise`,
`speech`) the speech is left out, since a lone talker is no noise in this task. Any other is split by file.
"""

from __future__ import annotations

from pathlib import Path

from wesep_mix.corpora.folders import audio_files, existing_folder
from wesep_mix.corpora.split import Split, split_names
from wesep_mix.corpora.types import SETS, NoiseFile
from wesep_mix.errors import UserError

_OWN_SPLITS = ({"train": "tr", "dev": "cv", "test": "tt"}, {name: name for name in SETS})
_MUSAN = ("music", "noise", "speech")


def noise_files(folder: str | Path, split: Split, seed: int) -> dict[str, list[NoiseFile]]:
    """List the wav and flac files under `folder`, set by set; `kind` is a file's first folder.

    Raises: UserError for a folder that is missing, unreadable, or has no (or fewer than three) audio files.
    """
    root = existing_folder(folder)
    found = audio_files(root)
    if not found:
        raise UserError(f"{root}: wanted noise as wav or flac files, found no such file")
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
