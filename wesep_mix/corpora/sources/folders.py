"""Audio files under a folder that the user named, and what their headers say is wrong with them.

Damaged files, another sampling rate, and names that lists cannot hold are found by the headers: in seconds, where
decoding takes hours.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from wesep_mix.base.errors import UserError
from wesep_mix.base.names import path_problem
from wesep_mix.base.parallel import map_items
from wesep_mix.io.audio import num_frames

SUFFIXES = (".flac", ".ogg", ".opus", ".wav")


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


def folder_with(folder: str | Path, inner: str, parts: Sequence[str], what: str) -> tuple[Path, list[str]]:
    """Find a corpus at a folder or one level below it.

    Args:
        folder: the folder that the user named.
        inner: name that the corpus has below it.
        parts: the corpus's own folders, at least one of which must be there.
        what: the option that names the folder, for the error.

    Returns:
        The corpus's folder, and which of the parts it has.

    Raises:
        UserError: neither place has any of the parts.
    """
    path = existing_folder(folder)
    for root in (path, path / inner):
        there = [part for part in parts if (root / part).is_dir()]
        if there:
            return root, there
    raise UserError(f"{path}: wanted a folder with {', '.join(parts)} in it ({what}), found none of them")


def audio_files(root: Path, max_depth: int = 20) -> list[Path]:
    """List all audio files (SUFFIXES) under a folder; links are followed, hidden files and folders left out.

    Args:
        root: the folder.
        max_depth: parts that a file's path under `root` may have.

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
        found += [Path(folder) / name for name in names if name.lower().endswith(SUFFIXES)]
    return sorted(found)


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files that a killed run left under `folder` (see `base.files.atomic_path`)."""
    for path in folder.rglob(".*.tmp*"):
        path.unlink(missing_ok=True)


def _refuse(err: OSError) -> None:
    raise UserError(f"{err.filename}: cannot be read ({err.strerror})") from err


def bad_headers(lists: Mapping[str, Sequence[Path]], nj: int) -> dict[str, dict[Path, str]]:
    """Read every file's header.

    Args:
        lists: {title of a list, such as "dev speech": its files}.
        nj: number of processes.

    Returns:
        {title: {file: what is wrong with it}}, without the files whose header is in order.
    """
    files = [(title, path) for title, paths in lists.items() for path in paths]
    checked = map_items(_problem, [str(path) for _, path in files], nj, "headers") if files else []
    bad: dict[str, dict[Path, str]] = {title: {} for title in lists}
    for (title, path), (_, problem) in zip(files, checked, strict=True):
        if problem:
            bad[title][path] = problem
    return bad


def _problem(path: str) -> str:
    try:
        num_frames(path)
    except UserError as err:
        return str(err)
    return path_problem(path)
