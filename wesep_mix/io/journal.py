"""Results of a long run, kept as they come, so that a killed run goes on with what it has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


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
