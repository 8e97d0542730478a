import json
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import pytest

from wesep_mix.base import record
from wesep_mix.base.files import atomic_path, atomic_write, remove_leftovers, write_json, write_table
from wesep_mix.io.audio import write_audio


@pytest.fixture
def folder(tmp_path):
    """A stage's, at work."""
    write_json(tmp_path / "stage" / record.STATE_FILE, {"done": False, "fingerprint": "f"})
    return tmp_path / "stage"


def write(path, text):
    with atomic_write(path) as file:
        file.write(text)


def ended(folder):
    settled = record.settle(folder)
    write_json(folder / record.STATE_FILE, {"done": True, "fingerprint": "f"})
    return settled


def faults(folder, whole=True):
    return dict(record.faults(folder, whole))


def test_what_was_written_is_known_and_what_others_put_there_is_not(folder):
    write(folder / "a.csv", "1")
    write(folder / "inner" / "b.json", "{}")
    (folder / "notes.txt").write_text("mine")
    write(folder / ".hidden", "x")
    write(folder / "checkpoints" / "last.ckpt", "x")
    write(folder / "logs" / "csv" / "metrics.csv", "x")
    write(folder.parent / "beside.csv", "x")
    assert ended(folder) == (2, False)
    assert set(record.read(folder)) == {"a.csv", "inner/b.json"} and faults(folder) == {}
    (folder / "notes.txt").unlink()
    (folder / "more.csv").touch()
    assert faults(folder) == {} and not (folder.parent / record.RECORD).exists()


@pytest.mark.parametrize(
    "spoil, said",
    [
        (lambda path: path.unlink(), "is gone"),
        (lambda path: path.write_bytes(b""), "has 0 bytes, 9 were written"),
        (lambda path: path.write_bytes(path.read_bytes()[:-3]), "has 6 bytes, 9 were written"),
        (lambda path: path.write_bytes(b"lime 1\nl2"), "has another content than was written"),
        (lambda path: (path.unlink(), path.mkdir()), "bytes, 9 were written"),
    ],
)
def test_damage_is_told(folder, spoil, said):
    write(folder / "inner" / "list", "line 1\nl2")
    write(folder / "other", "x")
    ended(folder)
    spoil(folder / "inner" / "list")
    ((name, fault),) = faults(folder, whole=False).items()
    assert name == "inner/list" and said in fault


def test_of_audio_that_nobody_wrote_to_only_who_reads_all_finds_other_samples(folder):
    write_audio(folder / "a.wav", np.zeros(100))
    ended(folder)
    stat, data = (folder / "a.wav").stat(), bytearray((folder / "a.wav").read_bytes())
    data[-1] ^= 1
    (folder / "a.wav").write_bytes(data)
    os.utime(folder / "a.wav", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (faults(folder, whole=False), set(faults(folder))) == ({}, {"a.wav"})
    os.utime(folder / "a.wav")
    assert set(faults(folder, whole=False)) == {"a.wav"}


def test_of_what_may_fill_a_disk_the_size_is_checked(folder):
    write(folder / "0000.s16", "1234")
    ended(folder)
    (folder / "0000.s16").write_text("1235")
    assert faults(folder) == {}
    (folder / "0000.s16").write_text("123")
    assert set(faults(folder)) == {"0000.s16"}


def test_many_processes_note_what_they_write(folder):
    names = [f"{number}.json" for number in range(40)]
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(partial(write_json, value={}), [folder / name for name in names]))
    assert ended(folder)[0] == 40 and set(record.read(folder)) == set(names)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_while_a_file_is_rewritten_is_no_damage_whichever_is_there(folder, when, monkeypatch):
    write(folder / "a", "old")
    ended(folder)
    replace = os.replace

    def killed(*names):
        if when == "after":
            replace(*names)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", killed)
        write(folder / "a", "renewed")
    assert (folder / "a").read_text() == {"before": "old", "after": "renewed"}[when] and faults(folder) == {}


def test_a_torn_line_takes_nothing_of_the_others_with_it(folder):
    write(folder / "a", "1")
    with open(folder / record.RECORD, "ab") as file:
        file.write(b'\n["b", 12')
    write(folder / "c", "1")
    assert ended(folder)[0] == 2 and set(record.read(folder)) == {"a", "c"}


def test_what_is_written_into_a_finished_folder_is_none_of_its_files(folder):
    write(folder / "a", "1")
    ended(folder)
    write(folder / "picture.png", "1")
    (folder / "picture.png").unlink()
    assert faults(folder) == {}


def test_the_same_written_again_is_no_change_and_where_things_lie_is_none(folder):
    write(folder / "a", "1")
    write_table(folder / "a.scp", {"key": "/here/a.ark:4"})
    ended(folder)
    write(folder / "a", "1")
    write_table(folder / "a.scp", {"key": "/there/a.ark:4"})
    assert ended(folder) == (2, False)
    write(folder / "a", "2")
    assert ended(folder) == (2, True)


def test_for_redoing_sound_audio_is_kept_and_the_rest_goes(folder):
    for name in ("a.wav", "b.wav"):
        write_audio(folder / name, np.zeros(100))
    for name in ("0.s16", "list.csv"):
        write(folder / name, "x")
    (folder / "notes.txt").touch()
    ended(folder)
    (folder / "a.wav").write_bytes(b"RIFF")
    record.remove_for_redoing(folder)
    assert {path.name for path in folder.iterdir() if path.name[0] != "."} == {"b.wav", "0.s16", "notes.txt"}


@pytest.mark.parametrize("name", ["../thesis.txt", "inner/../../thesis.txt", "{}/thesis.txt"])
def test_a_record_that_names_files_elsewhere_removes_none(folder, name):
    (folder.parent / "thesis.txt").write_text("all of it")
    (folder / record.RECORD).write_text(json.dumps([name.format(folder.parent), 1, 1]) + "\n[3, 1, 1]\n")
    record.remove_for_redoing(folder)
    assert faults(folder) == {} and (folder.parent / "thesis.txt").is_file()


def test_a_folder_without_a_record_is_taken_as_it_is(tmp_path):
    assert record.read(tmp_path) == {} and faults(tmp_path) == {}
    with atomic_path(tmp_path / "a") as path:
        path.touch()
    assert os.listdir(tmp_path) == ["a"]


def test_what_a_kill_left_is_removed_but_not_from_another_stages_folder(folder):
    write_json(folder / "inner" / record.STATE_FILE, {"done": False, "fingerprint": "g"})
    left = [
        folder / ".a-b.12.tmp.wav",
        folder / "deep" / "er" / "..stage.7.tmp.json",
        folder / ".utt2spk.3.tmp",
        folder / f"{record.RECORD}.5.tmp",
    ]
    kept = [folder / "inner" / ".a.12.tmp.wav", folder / ".mine.tmp.wav", folder / "a.12.tmp.wav", folder / ".keep"]
    for path in (*left, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    remove_leftovers(folder)
    assert not any(path.exists() for path in left) and all(path.exists() for path in kept)
