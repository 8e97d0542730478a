"""WHAM! noise (arXiv 1907.01160): ROOT/{tr,cv,tt}/*.wav, two channels at 16 kHz.

A reader, no corpus of its own: it has no speech. `librispeech` chooses from its kinds.
"""

from __future__ import annotations

from pathlib import Path

from wesep_mix.corpora.folders import audio_files, folder_with
from wesep_mix.corpora.types import NoiseFile

WHAM_PARTS = ("tr", "cv", "tt")
_FASTER_OR_SLOWER = ("sp08", "sp12")  # copies of tr that LibriMix's scripts write beside the originals


def wham_files(folder: str | Path) -> list[NoiseFile]:
    """List WHAM!'s noises, `folder` being `wham_noise` itself or the folder that it is in.

    `kind` is wham/<part>, as in wham/tt; `id` is <part>-<name of the file>.
    Raises: UserError when there is no such folder, or none of tr, cv, tt in it.
    """
    root, parts = folder_with(folder, "wham_noise", WHAM_PARTS, "--wham DIR")
    return [
        NoiseFile(f"{part}-{path.stem}", path, f"wham/{part}")
        for part in parts
        for path in audio_files(root / part)
        if not path.stem.endswith(_FASTER_OR_SLOWER)
    ]
