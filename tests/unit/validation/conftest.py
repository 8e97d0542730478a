"""A prepared folder of its own for a test that damages it."""

import json
import shutil

import pytest


@pytest.fixture
def folder(prepared, tmp_path):
    """A copy of the prepared folder, audio included, that names its own files."""
    copy = tmp_path / "data"
    shutil.copytree(prepared, copy)
    for path in (*copy.rglob("*.jsonl"), *copy.rglob("wav.scp")):
        path.write_text(path.read_text().replace(str(prepared), str(copy)))
    return copy


@pytest.fixture
def edit():
    """Function: file of JSON lines, number of the line, change of its row in place; writes the file anew."""

    def make(path, number, change):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        change(rows[number])
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return rows[number]

    return make
