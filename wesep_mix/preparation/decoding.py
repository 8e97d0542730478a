"""Stage 1, on request (`decoded: true`): all speech and noise of the lists, decoded once (see io.decoded)."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Sequence
from math import ceil
from pathlib import Path

from wesep_mix.base import parallel
from wesep_mix.base.errors import UserError
from wesep_mix.base.names import SETS
from wesep_mix.io import decoded
from wesep_mix.io.audio import num_frames
from wesep_mix.preparation.lists import read_noises, read_speech

MAX_PARTS = 64  # each is a file that every process keeps open
MIN_FILES = 32  # in a part, where there are that many
GB = 1e9


def decode_corpus(lists: Path, folder: Path, nj: int) -> None:
    """Decode what `lists/<set>/` names into `folder`, in parts that are each whole or not there.

    A killed run goes on with the parts that are missing. `nj` changes nothing in the result.
    Raises: UserError when the disk lacks the space, which is told beforehand, or a file cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob(".*.tmp*"):  # of a killed run
        path.unlink()
    parts = _parts(lists)
    missing = [number for number in range(len(parts)) if not decoded.is_part_there(folder, number)]
    _check_space([path for number in missing for path in parts[number]], folder, nj)
    parallel.map_items(functools.partial(_write_part, folder, parts), missing, nj, "decoding")
    num_files, num_kept = sum(map(len, parts)), decoded.write_index(folder, len(parts))
    if num_kept < num_files:
        print(
            f"note: decoding: {num_files - num_kept} of {num_files} files are not 16-bit and are read from their "
            "originals"
        )


def _parts(lists: Path) -> list[list[str]]:
    """All files, sorted, in parts of much the same number, whatever the number of processes."""
    found: set[str] = set()
    for name in SETS:
        found |= {entry.path for entry in (*read_speech(lists / name), *read_noises(lists / name))}
    paths = sorted(found)
    size = max(MIN_FILES, ceil(len(paths) / MAX_PARTS))
    return [paths[first : first + size] for first in range(0, len(paths), size)]


def _check_space(paths: Sequence[str], folder: Path, nj: int) -> None:
    """Tell the size of what is to be decoded. Raises: UserError when the disk has less."""
    wanted = 2 * sum(length for _, length in parallel.map_items(num_frames, paths, nj, "sizes"))
    free = shutil.disk_usage(folder).free
    print(
        f"decoding {len(paths)} files takes {wanted / GB:.2f} GB in {folder}, {free / GB:.0f} GB are free there",
        flush=True,
    )
    if wanted > free:
        raise UserError(
            f"{folder}: decoded speech and noise take {wanted / GB:.2f} GB, found {free / GB:.2f} GB free on that "
            "disk; free space, or set decoded: false"
        )


def _write_part(folder: Path, parts: Sequence[Sequence[str]], number: int) -> None:
    decoded.write_part(folder, number, parts[number])
