"""What a stage has made, so that damage is noticed: the size and checksum of each file, in the stage's folder.

`.stage.files` has a line for every file that was written there through `base.files.atomic_path`: JSON, [name in the
folder, bytes, checksum]. The line comes before the file gets its name, so that at a kill
in between the file is what this line or the one before it says; appending is safe with many processes. What a user puts
into the folder is not in it and does not matter, nor do hidden files, and a training's checkpoints and logs, which
people remove.

The checksum is CRC-32, against accidents; reading 1 GB takes 0.5 s. What may fill a disk has none.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

STATE_FILE, RECORD = ".stage.json", ".stage.files"
ASIDE = ("checkpoints", "logs", "roots.json")  # roots.json: edited where a corpus has moved
AUDIO = (".wav", ".flac")  # many files: asked again, a stage reads those alone that were written to since
BULK = (".s16", ".tar")
_BLOCK = 1 << 20


class Entry(NamedTuple):
    """What is known of a file."""

    size: int
    sum: int | None


def note(path: Path, whole: Path) -> None:
    """Note that `path` is about to become the file `whole`, where a stage's folder is above it.

    A stage that has finished knows its files: of these alone a new content is noted.
    """
    path = path.absolute()
    folder = next((parent for parent in path.parents if (parent / STATE_FILE).is_file()), None)
    name = path.relative_to(folder) if folder else Path()
    if not folder or any(part.startswith(".") or part in ASIDE for part in name.parts):
        return
    if _is_finished(folder) and name.as_posix() not in read(folder):
        return
    line = [name.as_posix(), whole.stat().st_size, None if name.suffix in BULK else checksum(whole)]
    with open(folder / RECORD, "ab", buffering=0) as file:
        file.write(f"\n{json.dumps(line)}\n".encode())  # a line of its own, also after one that a kill has torn


def read(folder: Path) -> dict[str, list[Entry]]:
    """{name: what it was at the end of its stage, and what it was made into since}; empty where there is no record."""
    known: dict[str, list[Entry]] = {}
    for name, entry in _lines(folder):
        known.setdefault(name, []).append(entry)
    return known


def settle(folder: Path) -> tuple[int, bool]:
    """Keep one line a file, of those that are there, when a stage ends.

    Returns: their number; whether one of them is another than when the record was settled last, scps aside, which say
    where things lie.
    """
    known = read(folder)
    kept = {name: known[name][-1] for name in sorted(known) if (folder / name).is_file()}
    temporary = folder / f"{RECORD}.{os.getpid()}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        file.writelines(f"{json.dumps([name, *entry])}\n" for name, entry in kept.items())
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, folder / RECORD)
    changed = any(
        name not in kept or entries[0] != kept[name] for name, entries in known.items() if not name.endswith(".scp")
    )
    return len(kept), changed


def faults(folder: Path, whole: bool) -> Iterator[tuple[str, str]]:
    """(name, what is wrong) of every file that is not as it was made.

    whole: read all that has a checksum; else without the audio that is older than the record.
    """
    known = read(folder)
    ended = (folder / RECORD).stat().st_mtime_ns if known else 0
    for name, entries in known.items():
        fault = _fault(folder / name, entries, 0 if whole or Path(name).suffix not in AUDIO else ended)
        if fault:
            yield name, fault


def remove_for_redoing(folder: Path) -> None:
    """Remove what is damaged, and all that takes little time to make: sound audio is kept."""
    damaged = dict(faults(folder, whole=True))
    for name in read(folder):
        if name in damaged or Path(name).suffix not in (*AUDIO, *BULK):
            (folder / name).unlink(missing_ok=True)


def checksum(path: Path) -> int:
    found = 0
    with open(path, "rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            found = zlib.crc32(block, found)
    return found


def _fault(path: Path, entries: Sequence[Entry], since: int) -> str | None:
    """since: the time in ns from which on a file has to have been written to be read."""
    try:
        stat = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return "is gone"
    sums = [entry.sum for entry in entries if entry.size == stat.st_size]
    if not sums:
        return f"has {stat.st_size} bytes, {entries[-1].size} were written"
    if None in sums or stat.st_mtime_ns < since or checksum(path) in sums:
        return None
    return "has another content than was written"


def _is_finished(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / STATE_FILE).read_text(encoding="utf-8")).get("done"))
    except (OSError, ValueError, AttributeError):  # whoever works there tells what is wrong with it
        return False


def _lines(folder: Path) -> Iterator[tuple[str, Entry]]:
    try:
        text = (folder / RECORD).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    for line in text.splitlines():
        try:
            name, size, found = json.loads(line)
        except (ValueError, TypeError):  # blank, or torn by a kill before the file had its name
            continue
        if isinstance(name, str) and not name.startswith("/") and ".." not in name.split("/"):
            yield name, Entry(size, found)
