"""Files that never look finished before they are.

Text is written under a temporary name and renamed when it is complete: JSON, JSON lines, Kaldi tables. A journal holds
the results of a long run as they come, so that a killed run goes on with what it has.
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
    """Remove the temporary files that killed runs left in and below a folder.

    Those in another stage's folder stay: that stage may be at work.

    Args:
        folder: where to look.
    """
    for place, inner, files in os.walk(folder):
        inner[:] = [name for name in inner if not os.path.lexists(os.path.join(place, name, record.STATE_FILE))]
        for name in filter(_LEFTOVER.fullmatch, files):
            Path(place, name).unlink(missing_ok=True)


@contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file for writing that gets its name only once it is complete and on disk.

    Args:
        path: the file to write.
        mode: as `open` takes it; text is UTF-8.

    Yields:
        The open file.
    """
    with atomic_path(path) as temporary:
        with open(temporary, mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())


def write_json(path: str | Path, value: Any) -> None:
    """Write a value as indented JSON with sorted keys.

    Args:
        path: the file to write.
        value: what JSON can hold.
    """
    with atomic_write(path) as file:
        json.dump(value, file, indent=2, sort_keys=True)
        file.write("\n")


def read_json(path: str | Path, advice: str = "remove it and redo the stage") -> Any:
    """Read a JSON file.

    Args:
        path: the file.
        advice: what the user can do if it is damaged, for the error.

    Returns:
        Its value.

    Raises:
        UserError: it is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as err:
        raise UserError(f"{path}: not valid JSON (line {err.lineno}: {err.msg}); {advice}") from err
    except UnicodeDecodeError as err:
        raise UserError(f"{path}: not valid JSON (no text, byte {err.start}); {advice}") from err


def write_jsonl(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as JSON lines.

    Args:
        path: the file to write.
        rows: one mapping a line.
    """
    with atomic_write(path) as file:
        file.writelines(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)


def read_jsonl(path: str | Path) -> list[dict[str, Any]]:
    """Read JSON lines; blank lines are skipped.

    Args:
        path: the file.

    Returns:
        The rows in their order.

    Raises:
        UserError: the file is missing or no text, or a line is not JSON (file and line are named).
    """
    rows = []
    for number, line in read_lines(path):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as err:
            raise UserError(f"{path}, line {number}: not valid JSON ({err.msg}); redo the stage that made it") from err
    return rows


def write_table(path: str | Path, rows: Mapping[str, str]) -> None:
    """Write a Kaldi text table: `key value` a line, sorted by key as `LC_ALL=C sort` does.

    Args:
        path: the file to write.
        rows: {key: value}.
    """
    with atomic_write(path) as file:
        file.writelines(f"{key} {rows[key]}\n" for key in sorted(rows, key=str.encode))


def read_table(path: str | Path) -> dict[str, str]:
    """Read a Kaldi text table; the value is all that follows the first run of blanks.

    Args:
        path: the file.

    Returns:
        {key: value} in the file's order.

    Raises:
        UserError: the file is missing or no text, a line has no value, or a key is there twice.
    """
    table: dict[str, str] = {}
    for number, line in read_lines(path):
        parts = line.split(maxsplit=1)
        if len(parts) != 2:
            raise UserError(f"{path}, line {number}: wanted `key value`, found {line.strip()!r}")
        if parts[0] in table:
            raise UserError(f"{path}, line {number}: key {parts[0]} is there twice")
        table[parts[0]] = parts[1].rstrip("\n")
    return table


def read_lines(path: str | Path, advice: str = "redo the stage that made it") -> list[tuple[int, str]]:
    """Read the lines of a text file that are not blank.

    Args:
        path: the file.
        advice: what the user can do if it is no text, for the error.

    Returns:
        Number from 1 and text of each.

    Raises:
        UserError: the file is missing or no text.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as err:
        raise UserError(f"{path}: no such file") from err
    except UnicodeDecodeError as err:
        raise UserError(f"{path}: no text, byte {err.start} is not UTF-8; {advice}") from err
    return [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]


class Journal:
    """An append-only file of JSON rows, each with an `id`; `rows` holds those of earlier runs, by id.

    A kill may cut the last line short: all that follows the last good line is removed.
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
        """Append one row; it survives if this process is killed."""
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
