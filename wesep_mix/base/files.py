"""Text files that never look finished before they are: atomic writes, JSON, JSON lines, Kaldi tables.

Results of a long run, kept as they come, so that a killed run goes on with what it has.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from wesep_mix.base import record
from wesep_mix.base.errors import UserError

_LEFTOVER = re.compile(r"\..+\.\d+\.tmp(\.[^.]*)?")  # as `atomic_path` names them


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary neighbour of `path`; rename it to `path` on success, remove it on any failure."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        record.note(path, temporary)
        os.replace(temporary, path)
    except BaseException as err:
        temporary.unlink(missing_ok=True)
        if isinstance(err, OSError) and err.errno and err.filename is None:  # a full disk does not say which file
            err.filename = str(path)
        raise


def remove_leftovers(folder: str | Path) -> None:
    """Remove the temporary neighbours of `atomic_path` that killed runs left in and below `folder`, but not those in
    another stage's folder, which may be at work.
    """
    for place, inner, files in os.walk(folder):
        inner[:] = [name for name in inner if not os.path.lexists(os.path.join(place, name, record.STATE_FILE))]
        for name in filter(_LEFTOVER.fullmatch, files):
            Path(place, name).unlink(missing_ok=True)


@contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file for writing that appears under its name only when it is complete and on disk."""
    with atomic_path(path) as temporary:
        with open(temporary, mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())


def write_json(path: str | Path, value: Any) -> None:
    with atomic_write(path) as file:
        json.dump(value, file, indent=2, sort_keys=True)
        file.write("\n")


def read_json(path: str | Path, advice: str = "remove it and redo the stage") -> Any:
    """Raises: UserError, with what to do, when the file is no JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as err:
        raise UserError(f"{path}: not valid JSON (line {err.lineno}: {err.msg}); {advice}") from err
    except UnicodeDecodeError as err:
        raise UserError(f"{path}: not valid JSON (no text, byte {err.start}); {advice}") from err


def write_jsonl(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with atomic_write(path) as file:
        file.writelines(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)


def read_jsonl(path: str | Path) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(_lines(path), start=1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as err:
            raise UserError(f"{path}, line {number}: not valid JSON ({err.msg}); redo the stage that made it") from err
    return rows


def write_table(path: str | Path, rows: Mapping[str, str]) -> None:
    """Write a Kaldi text table: `key value` a line, sorted by key as `LC_ALL=C sort` does."""
    with atomic_write(path) as file:
        file.writelines(f"{key} {rows[key]}\n" for key in sorted(rows, key=str.encode))


def read_table(path: str | Path) -> dict[str, str]:
    """Read a Kaldi text table; the value is all that follows the first run of blanks."""
    table: dict[str, str] = {}
    for number, line in enumerate(_lines(path), start=1):
        parts = line.split(maxsplit=1)
        if len(parts) != 2:
            raise UserError(f"{path}, line {number}: wanted `key value`, found {line.strip()!r}")
        if parts[0] in table:
            raise UserError(f"{path}, line {number}: key {parts[0]} is there twice")
        table[parts[0]] = parts[1].rstrip("\n")
    return table


def _lines(path: str | Path) -> list[str]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as err:
        raise UserError(f"{path}: no such file") from err
    except UnicodeDecodeError as err:
        raise UserError(f"{path}: no text, byte {err.start} is not UTF-8; redo the stage that made it") from err
    return [line for line in text.splitlines() if line.strip()]


class Journal:
    """An append-only file of JSON rows with an `id` each; `rows` holds those of earlier runs by id.

    The last line of a killed run may be torn: whatever follows the last good line is cut off.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def __enter__(self) -> Journal:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self.path, "a+b")
        self.rows, end = self._read()
        self._file.truncate(end)
        return self

    def __exit__(self, *error: Any) -> None:
        self._file.close()

    def add(self, row: dict[str, Any]) -> None:
        """Keep one row; it survives the end of this process."""
        self._file.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")
        self._file.flush()

    def _read(self) -> tuple[dict[str, dict[str, Any]], int]:
        rows, end = {}, 0
        self._file.seek(0)
        for line in self._file:
            try:
                row = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                row = None
            if row is None:
                break
            rows[row["id"]] = row
            end += len(line)
        return rows, end
