"""Folders of audio that the user named, and the files in them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from wesep_mix.base.errors import UserError
from wesep_mix.base.names import path_problem

SUFFIXES = (".flac", ".ogg", ".opus", ".wav")  # of corpora


def existing_folder(folder: str | Path) -> Path:
    """Check a folder that the user named.

    Args:
        folder: its name; `~` is the home folder.

    Returns:
        Its path.

    Raises:
        UserError: none is named, there is no such folder, or lists cannot hold its name.
    """
    if not str(folder):  # which would be the working directory
        raise UserError("corpus: wanted the name of a folder, found none; set it in corpus.yaml or with --set")
    path = Path(folder).expanduser()
    if not path.is_dir():
        found = "a file" if path.exists() else "nothing of that name"
        raise UserError(f"{path}: wanted a folder, found {found}")
    if problem := path_problem(path.absolute()):
        raise UserError(problem)
    return path


def audio_files(root: Path, max_depth: int = 20, suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """List all audio files under a folder; links are followed, hidden files and folders left out.

    Args:
        root: the folder.
        max_depth: parts that a file's path under `root` may have.
        suffixes: how the names of audio files end.

    Returns:
        The files, sorted.

    Raises:
        UserError: naming a folder that cannot be read.
    """
    found = []
    for folder, subfolders, files in os.walk(root, followlinks=True, onerror=_refuse):
        depth = len(Path(folder).relative_to(root).parts)
        subfolders[:] = [name for name in subfolders if not name.startswith(".") and depth + 2 <= max_depth]
        names = (name for name in files if not name.startswith("."))
        found += [Path(folder) / name for name in names if name.lower().endswith(tuple(suffixes))]
    return sorted(found)


def _refuse(err: OSError) -> None:
    raise UserError(f"{err.filename}: cannot be read ({err.strerror})") from err
