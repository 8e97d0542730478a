"""Files of a corpus that are damaged, of another rate or of names that lists cannot hold, found by their headers:
seconds where decoding takes hours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from wesep_mix.errors import UserError
from wesep_mix.io.audio import num_frames
from wesep_mix.io.names import path_problem
from wesep_mix.parallel import map_items


def bad_headers(lists: Mapping[str, Sequence[Path]], nj: int) -> dict[str, dict[Path, str]]:
    """Read every file's header on `nj` processes.

    lists: files by the list's title ("dev speech").
    Returns: title -> {file: what is wrong with it}, without the files whose header is in order.
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
