"""What a stage wrote, so that damage is noticed later: size and checksum of every file, in the stage's own folder.

`.stage.files` has a line for every file that was written there through `base.files.atomic_path`. A line is JSON: [name
in the folder, bytes, checksum]. It is appended before the file gets its name. So after a kill between the two the file
is what this line or the one before it says, and many processes can append at once. Not recorded are files that the user
puts there, hidden files, and a training's checkpoints and logs, which people remove.

The checksum is CRC-32: it guards against accidents, and reading 1 GB takes 0.5 s. Files that may fill a disk have none.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

STATE_FILE, RECORD = ".stage.json", ".stage.files"
ASIDE = ("checkpoints", "logs", "roots.json")  # roots.json is edited if a corpus has moved
AUDIO = (".wav", ".flac")  # many files: a stage that is asked again reads only those that were written to since
BULK = (".s16", ".tar")
_BLOCK = 1 << 20


class Entry(NamedTuple):
    """What is known of a file: bytes, and CRC-32 where it has one."""

    size: int
    sum: int | None


def note(path: Path, whole: Path) -> None:
    """Record that a file is about to get its name, if it lies in a stage's folder.

    Once a stage has finished, only its own files are recorded: a new file there is the user's.

    Args:
        path: the name that the file is about to get.
        whole: the file, complete, under its temporary name.
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
        file.write(f"\n{json.dumps(line)}\n".encode())  # on a new line, even after one that a kill has cut short


def read(folder: Path) -> dict[str, list[Entry]]:
    """Read a folder's record.

    Args:
        folder: the stage's folder.

    Returns:
        {name: its entries, the one from the end of the stage first, then those written since}; empty without a record.
    """
    known: dict[str, list[Entry]] = {}
    for name, entry in _lines(folder):
        known.setdefault(name, []).append(entry)
    return known


def settle(folder: Path) -> tuple[int, bool]:
    """When a stage ends, keep one line for each file that is there.

    Args:
        folder: the stage's folder.

    Returns:
        The number of files, and whether one of them differs from when the record was last settled. An scp does not
        count: it says where things lie, and may change with that.
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
    """Find the files that are not as they were written.

    Args:
        folder: the stage's folder.
        whole: read everything that has a checksum; otherwise skip audio that is older than the record.

    Yields:
        (name, what is wrong) for each such file.
    """
    known = read(folder)
    ended = (folder / RECORD).stat().st_mtime_ns if known else 0
    for name, entries in known.items():
        fault = _fault(folder / name, entries, 0 if whole or Path(name).suffix not in AUDIO else ended)
        if fault:
            yield name, fault


def remove_for_redoing(folder: Path) -> None:
    """Remove what is damaged and what takes little time to make again; keep sound audio."""
    damaged = dict(faults(folder, whole=True))
    for name in read(folder):
        if name in damaged or Path(name).suffix not in (*AUDIO, *BULK):
            (folder / name).unlink(missing_ok=True)


def checksum(path: Path) -> int:
    """CRC-32 of a file's content."""
    found = 0
    with open(path, "rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            found = zlib.crc32(block, found)
    return found


def _fault(path: Path, entries: Sequence[Entry], since: int) -> str | None:
    """What is wrong with a file, None if nothing. Only a file written at `since` (in ns) or later is read."""
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
    except (OSError, ValueError, AttributeError):  # a stage that works there reports it
        return False


def _lines(folder: Path) -> Iterator[tuple[str, Entry]]:
    try:
        text = (folder / RECORD).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    for line in text.splitlines():
        try:
            name, size, found = json.loads(line)
        except (ValueError, TypeError):  # blank, or cut short by a kill before the file had its name
            continue
        if isinstance(name, str) and not name.startswith("/") and ".." not in name.split("/"):
            yield name, Entry(size, found)
