"""Stage 1, on request (`decoded: true`): speech and noise once more as wavs, which are read faster than FLAC or Opus.

`data/CORPUS/corpus/decoded/ROOT/` is like the root, with `.wav` behind each file's name: of 16 bits where that is
exact, else of floats. What is a wav already is read from its original: `originals.json`, written last, says so. From
then on io.roots gives these wavs for the files of lists and plans.
"""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from wesep_mix.base import parallel
from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_path, write_json
from wesep_mix.base.names import SETS
from wesep_mix.io.audio import SAMPLE_RATE, STEP, is_wav, num_frames, read_audio, sample_bytes
from wesep_mix.io.roots import ORIGINALS, Roots, decoded_path, read_roots
from wesep_mix.preparation.lists import read_noises, read_speech

GB = 1e9


def decode_corpus(lists: Path, folder: Path, nj: int) -> None:
    """Decode what `lists/<set>/` names into `folder`. A killed run goes on with the files that are missing.

    Raises: UserError when lists of an older revision name no roots, when the disk lacks the space, which is told
        beforehand, or when a file cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    roots = read_roots(lists.parent)
    if not roots.folders:
        raise UserError(
            f"{lists}: wanted lists with roots, found those of an older revision; list anew with --force true, or set "
            "decoded: false"
        )
    paths = _paths(lists, roots)
    missing = [path for path in paths if not decoded_path(folder, path).is_file()]
    _check_space(missing, roots, folder, nj)
    made = parallel.map_items(functools.partial(_decode, folder=folder, roots=roots), missing, nj, "decoding")
    originals = [path for path, is_made in made if not is_made]
    if originals:
        print(f"note: decoding: {len(originals)} of {len(paths)} files are read from their originals")
    write_json(folder / ORIGINALS, originals)


def _paths(lists: Path, roots: Roots) -> list[str]:
    """All files in roots, as the lists name them, sorted."""
    entries = [entry for name in SETS for entry in (*read_speech(lists / name), *read_noises(lists / name))]
    shorts = {entry.path: roots.short(entry.path) for entry in entries}
    return sorted({short for path, short in shorts.items() if short != path})


def _check_space(paths: Sequence[str], roots: Roots, folder: Path, nj: int) -> None:
    """Tell the size of what is to be decoded. Raises: UserError when the disk has less."""
    sizes = [size for _, size in parallel.map_items(_num_bytes, [roots.full(path) for path in paths], nj, "sizes")]
    wanted, free = sum(sizes), shutil.disk_usage(folder).free
    print(
        f"decoding {sum(map(bool, sizes))} files takes {wanted / GB:.2f} GB in {folder}, {free / GB:.0f} GB are free "
        "there",
        flush=True,
    )
    if wanted > free:
        raise UserError(
            f"{folder}: decoded speech and noise take {wanted / GB:.2f} GB, found {free / GB:.2f} GB free on that "
            "disk; free space, or set decoded: false"
        )


def _num_bytes(path: str) -> int:
    return 0 if is_wav(path) else sample_bytes(path) * num_frames(path)


def _decode(path: str, folder: Path, roots: Roots) -> bool:
    """Write the wav of a file; False where the original is to be read."""
    original = roots.full(path)
    if is_wav(original):
        return False
    samples = read_audio(original)
    pcm = np.clip(samples / STEP, -32768, 32767).astype(np.int16)
    exact = np.array_equal((pcm * STEP).view(np.uint32), samples.view(np.uint32))
    data, subtype = (pcm, "PCM_16") if exact else (samples, "FLOAT")
    with atomic_path(decoded_path(folder, path)) as temporary:
        soundfile.write(os.fsencode(temporary), data, SAMPLE_RATE, subtype=subtype)
    return True
