import json
import os

import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.base.files import (
    atomic_path,
    atomic_write,
    read_json,
    read_jsonl,
    read_table,
    write_json,
    write_jsonl,
    write_table,
)


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with atomic_write(path) as file:
        file.write("naïve")
        assert not path.exists()
    assert path.read_text(encoding="utf-8") == "naïve" and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failed_write_keeps_the_old_file_and_leaves_nothing(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), atomic_write(path) as file:
        file.write("half")
        raise error
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_full_disk_keeps_the_old_file_and_leaves_nothing(tmp_path, monkeypatch):
    write_json(tmp_path / "a.json", {"old": 1})

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_json(tmp_path / "a.json", {"new": 1})
    assert read_json(tmp_path / "a.json") == {"old": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_the_temporary_file_keeps_the_suffix(tmp_path):
    """soundfile chooses the format by it."""
    with atomic_path(tmp_path / "a.flac") as temporary:
        assert temporary.suffix == ".flac" and temporary.parent == tmp_path and temporary.name.startswith(".")
        temporary.touch()


def test_binary(tmp_path):
    with atomic_write(tmp_path / "a.bin", "wb") as file:
        file.write(b"\xff\n")
    assert (tmp_path / "a.bin").read_bytes() == b"\xff\n"


def test_json_is_sorted_and_comes_back(tmp_path):
    write_json(tmp_path / "a.json", {"b": [1, None], "a": {"d": 0.1, "c": "é"}})
    assert read_json(tmp_path / "a.json") == {"a": {"c": "é", "d": 0.1}, "b": [1, None]}
    assert (tmp_path / "a.json").read_text().index('"a"') < (tmp_path / "a.json").read_text().index('"b"')


def test_damaged_json_is_named_with_its_line(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 1,\n"b": }')
    with pytest.raises(UserError, match=r"a.json: not valid JSON \(line 2: .*redo the stage"):
        read_json(tmp_path / "a.json")


def test_rows_come_back_in_their_order(tmp_path):
    rows = [{"id": "b", "gain": 0.1 + 0.2}, {"id": "a", "list": [1, 2]}]
    write_jsonl(tmp_path / "a.jsonl", rows)
    assert read_jsonl(tmp_path / "a.jsonl") == rows
    assert [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()] == rows


def test_a_damaged_row_is_named(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"a": 2\n')
    with pytest.raises(UserError, match="a.jsonl, line 2: not valid JSON"):
        read_jsonl(tmp_path / "a.jsonl")


def test_a_table_is_sorted_as_kaldi_wants(tmp_path):
    keys = ["b-1", "B-1", "b_1", "b1", "é", "a"]
    write_table(tmp_path / "wav.scp", {key: f"x/{key} y.wav" for key in keys})
    lines = (tmp_path / "wav.scp").read_bytes().splitlines()
    assert lines == sorted(lines) and len(lines) == 6
    assert read_table(tmp_path / "wav.scp") == {key: f"x/{key} y.wav" for key in keys}


def test_blanks_between_key_and_value(tmp_path):
    (tmp_path / "t").write_text("a \t b  c\n\nd e\n")
    assert read_table(tmp_path / "t") == {"a": "b  c", "d": "e"}


@pytest.mark.parametrize(
    "text, said",
    [
        ("a b\nc\n", "t, line 2: wanted `key value`, found 'c'"),
        ("a b\na c\n", "t, line 2: key a is there twice"),
        ("a b\n\n\nc\n", "t, line 4: wanted"),  # blank lines count
    ],
)
def test_a_damaged_table_is_named(tmp_path, text, said):
    (tmp_path / "t").write_text(text)
    with pytest.raises(UserError, match=said):
        read_table(tmp_path / "t")


@pytest.mark.parametrize("read", [read_table, read_jsonl])
def test_a_missing_file_is_named(tmp_path, read):
    with pytest.raises(UserError, match="t: no such file"):
        read(tmp_path / "t")


def test_a_full_disk_names_the_file_and_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match=r"No space left on device: '.*/table'"), atomic_path(tmp_path / "table"):
        with open("/dev/full", "w") as full:  # every write to it fails like on a full disk
            full.write("x")
    assert list(tmp_path.iterdir()) == []
