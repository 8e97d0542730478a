"""A corpus folder has moved: lists and plans follow, and nothing is listed, decoded or drawn again.

The moves are recorded in `moves.json` beside the lists. From then on stage 1 takes the new folder in the settings
for the old one, so that what was made is still what the settings say.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import atomic_write, read_json, write_json
from wesep_mix.io.decoded import rename
from wesep_mix.mixing.plan import PLANS, Plan
from wesep_mix.preparation.lists import NOISES, UNUSED, UTTERANCES, WAVS, refresh_wavs

MOVES = "moves.json"
_GROUPS = ("corpus/lists", "single", "*mix")
_TEXTS = [f"{group}/*/{name}" for group in _GROUPS for name in (UTTERANCES, NOISES, UNUSED, PLANS)]
_PATH = re.compile(r'"path":("[^"\\]*(?:\\.[^"\\]*)*")')  # as base.files.write_jsonl writes it
Root = tuple[str, str]  # where a corpus was, and where it is


def parse_root(text: str) -> Root:
    """OLD as the lists spell it, and NEW in full. Raises: UserError when `text` is not OLD=NEW."""
    old, _, new = text.partition("=")
    if not (old and new):
        raise UserError(f"--corpus_root {text}: wanted OLD=NEW, two folders")
    return _plain(old), os.path.abspath(_plain(new))


def moved_path(path: str, roots: Iterable[Root]) -> str:
    """Where a file is after moves, one after the other; doing the same again changes nothing more."""
    for old, new in roots:
        if _lies_in(path, old) and not (_lies_in(new, old) and _lies_in(path, new)):
            path = _rebased(path, old, new)
    return path


def moved(plan: Plan, roots: Iterable[Root]) -> Plan:
    """The same mixture, of files that lie elsewhere now: it renders bit for bit as before."""
    roots = list(roots)
    sources = tuple(dataclasses.replace(source, path=moved_path(source.path, roots)) for source in plan.sources)
    noise = dataclasses.replace(plan.noise, path=moved_path(plan.noise.path, roots))
    return dataclasses.replace(plan, sources=sources, noise=noise)


def read_moves(corpus: Path) -> list[Root]:
    """All moves so far of the corpus whose lists are in `corpus/lists`."""
    path = corpus / MOVES
    return [(old, new) for old, new in read_json(path)] if path.is_file() else []


def before_moves(settings: Any, roots: Sequence[Root]) -> Any:
    """Settings as plain values, with every folder (a key that ends in `_dir`) named as it was before the moves."""
    if not isinstance(settings, dict):
        return settings
    return {
        key: _folder_before(value, roots) if value and str(key).endswith("_dir") else before_moves(value, roots)
        for key, value in settings.items()
    }


def move(
    corpus: Path, folders: Sequence[Path], roots: Iterable[Root], confirm: Callable[[Sequence[Root]], None]
) -> None:
    """Record that the corpus listed in `corpus/lists` has moved by `roots`; lists and plans in `folders` follow.

    A killed call's work is finished by the next, of the same or of `follow`.
    confirm: called with all moves before anything is changed, may raise.
    Raises: UserError, with nothing changed, when no file lies in an old folder; when a new one is no folder, or other
        files of the lists lie in it; or when a file has not moved there.
    """
    moves = read_moves(corpus)
    paths = [moved_path(path, moves) for path in _listed(corpus)]
    for root in roots:
        going = {path: there for path in paths if (there := moved_path(path, [root])) != path}
        if going:
            _check(set(paths) - set(going), going, root)
            moves.append(root)
        elif root not in moves:
            raise UserError(
                f"--corpus_root {root[0]}={root[1]}: wanted files in {root[0]}, found none; they are such as {paths[0]}"
            )
        paths = [going.get(path, path) for path in paths]
    confirm(moves)
    if moves != read_moves(corpus):
        write_json(corpus / MOVES, moves)
    follow(corpus, folders)


def follow(corpus: Path, folders: Sequence[Path]) -> None:
    """Let all lists and plans in `folders`, and decoded audio, follow the recorded moves; what has stays as it is."""
    roots = read_moves(corpus)
    if not roots:
        return
    if (corpus / "decoded").is_dir():
        now = {moved_path(path, roots) for path in _listed(corpus)}
        rename(corpus / "decoded", {_path_before(path, roots): path for path in now})
    there = functools.cache(functools.partial(moved_path, roots=roots))  # most paths are in several files
    for folder in folders:
        for path in sorted(path for pattern in _TEXTS for path in folder.glob(pattern)):
            _rewrite(path, there)
    for path in _tables(folders):
        refresh_wavs(path)


def follow_project(folders: Sequence[Path]) -> None:
    """Where lists have paths relative to the project and this has moved, let wav.scp, with full ones for other tools,
    follow.
    """
    for path in _tables(folders):
        refresh_wavs(path, if_first=True)


def _tables(folders: Sequence[Path]) -> list[Path]:
    """All sets in `folders` with a wav.scp."""
    found = [path.parent for folder in folders for group in _GROUPS for path in folder.glob(f"{group}/*/{WAVS}")]
    return sorted(path for path in found if (path / UTTERANCES).is_file())


def _check(staying: Iterable[str], going: Mapping[str, str], root: Root) -> None:
    old, new = root
    if not os.path.isdir(new):
        raise UserError(f"--corpus_root {old}={new}: wanted a folder {new}, found none")
    for path in sorted(staying):
        if _lies_in(path, new):
            raise UserError(
                f"--corpus_root {old}={new}: {path} lies in the new folder already, so that the two could "
                "not be told apart; name a folder further inside, which moved as a whole"
            )
    missing = [(path, there) for path, there in sorted(going.items()) if not os.path.isfile(there)]
    if missing:
        raise UserError(
            f"--corpus_root {old}={new}: {missing[0][0]} was to be {missing[0][1]}, found no such file "
            f"({len(missing)} of {len(going)} files are missing)"
        )


def _listed(corpus: Path) -> list[str]:
    """All audio files that the lists name, sorted."""
    files = sorted(path for name in (UTTERANCES, NOISES) for path in (corpus / "lists").glob(f"*/{name}"))
    paths = {json.loads(text) for file in files for text in _PATH.findall(file.read_text(encoding="utf-8"))}
    if not paths:
        raise UserError(
            f"{corpus / 'lists'}: wanted the lists of a corpus that has moved, found none; stage 1 makes "
            "them, without --corpus_root"
        )
    return sorted(paths)


def _rewrite(path: Path, there: Callable[[str], str]) -> None:
    """`there`: where a file is now."""
    before = path.read_text(encoding="utf-8")
    after = _PATH.sub(lambda found: '"path":' + json.dumps(there(json.loads(found[1]))), before)
    if after != before:
        with atomic_write(path) as file:
            file.write(after)


def _folder_before(folder: str, roots: Sequence[Root]) -> str:
    spellings = [_plain(folder), os.path.abspath(_plain(folder))]
    return next((before for one in spellings if (before := _path_before(one, roots)) != one), spellings[0])


def _path_before(path: str, roots: Sequence[Root]) -> str:
    for old, new in reversed(roots):
        if _lies_in(path, new):
            path = _rebased(path, new, old)
    return path


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(os.path.join(folder, ""))


def _rebased(path: str, old: str, new: str) -> str:
    return os.path.join(new, path[len(os.path.join(old, "")) :]) if path != old else new


def _plain(folder: str) -> str:
    return str(Path(folder).expanduser())
