"""MUSAN (arXiv 1510.08484): ROOT/{music,noise,speech}/subpart/*.wav; noise has free-sound and sound-bible.

A reader, no corpus of its own: it has no speech for training. `librispeech` chooses from its kinds.
"""

from __future__ import annotations

from pathlib import Path

from wesep_mix.corpora.folders import audio_files, folder_with
from wesep_mix.corpora.types import NoiseFile

MUSAN_PARTS = ("music", "noise", "speech")


def musan_files(folder: str | Path) -> list[NoiseFile]:
    """List all of MUSAN, `folder` being `musan` itself or the folder that it is in.

    `kind` is musan/<part>/<subpart>, as in musan/noise/free-sound; `id` is the file's name, which says the same.
    Raises: UserError when there is no such folder, or none of MUSAN's parts in it.
    """
    root, parts = folder_with(folder, "musan", MUSAN_PARTS, "--musan DIR")
    files = []
    for part in parts:
        for path in audio_files(root / part):
            subpart = path.relative_to(root / part).parts[:-1][:1]
            files.append(NoiseFile(path.stem, path, "/".join(("musan", part, *subpart))))
    return files
