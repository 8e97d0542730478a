"""The command that scores tracks of a set; what tracks is another command's."""

import json

import pytest

from wesep_mix.bin import track, track_set
from wesep_mix.io.rttm import write_rttm, write_uem


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two recordings with a reference; the first is tracked right, in the second nobody is heard."""
    (tmp_path / "wav.scp").write_text("one /a/meeting.flac\ntwo /b/meeting.flac\n")
    write_rttm(tmp_path / "ref", {"one": [(0.0, 4.0, "ann"), (5.0, 8.0, "bob")], "two": [(0.0, 6.0, "ann")]})
    write_uem(tmp_path / "uem", {"one": [(0.0, 10.0)], "two": [(0.0, 3.0)]})
    calls = []

    def tracked(argv):
        calls.append(argv)
        out = tmp_path / "out" / argv[2].rpartition("/")[2]
        turns = [(0.0, 4.0, "talker-1"), (5.0, 8.0, "talker-2")] if "one" in argv[2] else []
        write_rttm(out / "meeting.rttm", {"meeting": turns})
        (out / "track.json").write_text(json.dumps({"recording": "meeting", "seconds": 10.0}))
        return 0

    monkeypatch.setattr(track, "main", tracked)
    return tmp_path, calls


def call(folder, *more):
    return track_set.main(
        ["--wavs", str(folder / "wav.scp"), "--rttm", str(folder / "ref"), "--out", str(folder / "out"), *more]
    )


def test_each_recording_is_tracked_once_and_scored(folder, capsys):
    folder, calls = folder
    assert call(folder, "--set", "max_slots=4", "--model", "small") == 0
    assert [argv[0] for argv in calls] == ["/a/meeting.flac", "/b/meeting.flac"]
    assert calls[0][-4:] == ["--model", "small", "--set", "max_slots=4"]
    scores = json.loads((folder / "out" / "scores.json").read_text())
    assert [(row["talkers"], row["found"], row["der"]["der"]) for row in scores["recordings"]] == [(2, 2, 0), (1, 0, 1)]
    assert scores["all"]["der"] == pytest.approx(6 / 13) and "46.2" in capsys.readouterr().out
    assert call(folder, "--uem", str(folder / "uem")) == 0
    assert len(calls) == 2 and "one: done already" in capsys.readouterr().out
    assert json.loads((folder / "out" / "scores.json").read_text())["all"]["der"] == pytest.approx(3 / 10)


def test_a_recording_without_a_reference_is_named_before_any_work(folder, capsys):
    folder, calls = folder
    (folder / "wav.scp").write_text("one /a/meeting.flac\nthree /c/meeting.flac\n")
    assert call(folder) == 1 and "ref: wanted a line of three, found none" in capsys.readouterr().err
    (folder / "wav.scp").write_text("one /a/meeting.flac\n")
    write_uem(folder / "uem", {"two": [(0.0, 3.0)]})
    assert call(folder, "--uem", str(folder / "uem")) == 1
    assert "uem: wanted a line of one, found none" in capsys.readouterr().err and not calls


def test_a_recording_that_cannot_be_tracked_ends_it(folder, monkeypatch):
    folder, _ = folder
    monkeypatch.setattr(track, "main", lambda argv: 1)
    assert call(folder) == 1 and not (folder / "out" / "scores.json").exists()
