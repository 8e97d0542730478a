"""A corpus's own folders, and what the headers of its audio files say is wrong with them.

Damaged files, another sampling rate, and names that lists cannot hold are found by the headers: in seconds, where
decoding takes hours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from wesep_mix.base.errors import UserError
from wesep_mix.base.names import path_problem
from wesep_mix.base.parallel import map_items
from wesep_mix.io.audio import num_frames
from wesep_mix.io.folders import existing_folder


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


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files that a killed run left under `folder` (see `base.files.atomic_path`)."""
    for path in folder.rglob(".*.tmp*"):
        path.unlink(missing_ok=True)


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
