"""A corpus that has moved, and whose line in roots.json (io.roots) says so, is still what its lists were made of."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wesep_mix.base.files import read_json
from wesep_mix.base.stage import settings_of
from wesep_mix.io.roots import plain, read_roots
from wesep_mix.preparation.lists import UTTERANCES, WAVS, refresh_wavs

MOVES = "moves.json"  # [[old, new], ...] of revisions whose lists have no roots


def folders_now(corpus: Path) -> dict[str, str]:
    """Where each folder of the settings is now: {"speech": "/corpora/LibriSpeech"} for `speech_dir`.

    Of lists that an older revision made and let follow a move: as it recorded that.
    """
    folders = dict(read_roots(corpus).folders)
    if not folders and (corpus / MOVES).is_file():
        moves = read_json(corpus / MOVES)
        settings = {key.removeprefix("corpus."): value for key, value in settings_of(corpus).items()}
        found = {key.removesuffix("_dir"): value for key, value in settings.items() if key.endswith("_dir") and value}
        folders = {name: _moved(folder, moves) for name, folder in found.items()}
    return folders


def _moved(folder: str, moves: Sequence[tuple[str, str]]) -> str:
    for old, new in moves:
        if f"{folder}/".startswith(f"{old}/"):
            folder = f"{new}{folder[len(old) :]}"
    return folder


def as_made(settings: Mapping[str, Any], out: Path, now: Mapping[str, str], above: str = "") -> dict[str, Any]:
    """Settings as the stage in `out` had them, if all that has changed is where a folder lies.

    Args:
        settings: plain values; a folder's key ends in `_dir`.
        out: the stage's folder.
        now: what `folders_now` says.
        above: the key that `settings` stand under, with a dot.

    Returns:
        The settings, in which a folder that `now` has too is called as when `out` was made.
    """
    made = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            made[key] = as_made(value, out, now, f"{above}{key}.")
        elif key.endswith("_dir") and value:
            root, value = now.get(key.removesuffix("_dir")), plain(value)
            same = root and os.path.abspath(root) == os.path.abspath(value)
            made[key] = settings_of(out).get(above + key, value) if same else value
        else:
            made[key] = value
    return made


def refresh_tables(folders: Iterable[Path]) -> None:
    """Let wav.scp of all sets, with full paths for other tools, follow a corpus or a project that has moved."""
    for folder in sorted(folders):
        for group in ("corpus/lists", "single", "*mix", "session"):
            for path in sorted(folder.glob(f"{group}/*/{WAVS}")):
                if (path.parent / UTTERANCES).is_file():
                    refresh_wavs(path.parent)
