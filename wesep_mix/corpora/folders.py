"""Audio files under a folder that the user named."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from wesep_mix.errors import UserError
from wesep_mix.io.names import path_problem

SUFFIXES = (".flac", ".wav")


def existing_folder(folder: str | Path) -> Path:
    """Return `folder` as a path. Raises: UserError when there is no such folder, or lists cannot hold its name."""
    path = Path(folder).expanduser()
    if not path.is_dir():
        found = "a file" if path.exists() else "nothing of that name"
        raise UserError(f"{path}: wanted a folder, found {found}")
    if problem := path_problem(path.absolute()):
        raise UserError(problem)
    return path


def folder_with(folder: str | Path, inner: str, parts: Sequence[str], what: str) -> tuple[Path, list[str]]:
    """Return `folder`, or else `folder/inner`, and which of the folders `parts` are in it (at least one).

    what: how the user names this folder, for the error.
    Raises: UserError when neither has any.
    """
    path = existing_folder(folder)
    for root in (path, path / inner):
        there = [part for part in parts if (root / part).is_dir()]
        if there:
            return root, there
    raise UserError(f"{path}: wanted a folder with {', '.join(parts)} in it ({what}), found none of them")


def audio_files(root: Path, max_depth: int = 20) -> list[Path]:
    """All flac and wav files under `root`, sorted; links are followed, hidden files and folders left out.

    `max_depth` counts the parts of a file's path under `root`.
    Raises: UserError naming a folder that can't be read.
    """
    found = []
    for folder, subfolders, files in os.walk(root, followlinks=True, onerror=_refuse):
        depth = len(Path(folder).relative_to(root).parts)
        subfolders[:] = [name for name in subfolders if not name.startswith(".") and depth + 2 <= max_depth]
        names = (name for name in files if not name.startswith("."))
        found += [Path(folder) / name for name in names if name.lower().endswith(SUFFIXES)]
    return sorted(found)


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files that a killed run left under `folder` (see `io.files.atomic_path`)."""
    for path in folder.rglob(".*.tmp*"):
        path.unlink(missing_ok=True)


def _refuse(err: OSError) -> None:
    raise UserError(f"{err.filename}: cannot be read ({err.strerror})") from err
