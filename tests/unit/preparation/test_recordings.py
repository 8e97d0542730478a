"""Sets of recordings without sources: found, read, cut, listed, and read back from where they have moved."""

import json

import numpy as np
import pytest
import soundfile

from wesep_mix.base.errors import UserError
from wesep_mix.preparation.recordings import (
    Listing,
    RecordingEntry,
    cut_into_clips,
    find_recordings,
    prepare_recordings,
    read_recordings,
    recordings_part,
)


def sound(path, seconds=1.0, rate=48000, gain=0.1):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = gain * np.random.default_rng(len(path.name)).standard_normal(round(seconds * rate))
    soundfile.write(path, samples.clip(-1, 1), rate)
    return path


def listed(folder, out, **settings):
    prepare_recordings(Listing(str(folder), **settings), out, nj=1)
    return read_recordings(out)


def test_every_audio_file_of_a_folder_is_a_recording_at_its_own_rate(tmp_path):
    sound(tmp_path / "in" / "b.wav")
    sound(tmp_path / "in" / "deep" / "a c.flac", 2.0, 16000)
    (tmp_path / "in" / "notes.txt").touch()
    assert listed(tmp_path / "in", tmp_path / "out") == [
        RecordingEntry("b", f"{tmp_path}/in/b.wav", 0, 48000, 48000),
        RecordingEntry("deep-a_c", f"{tmp_path}/in/deep/a c.flac", 0, 32000, 16000),
    ]
    rows = [json.loads(line) for line in (tmp_path / "out" / "recordings.jsonl").read_text().splitlines()]
    assert rows[0] == {"id": "b", "path": "recordings:b.wav", "start": 0, "num_samples": 48000, "rate": 48000}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "recordings.jsonl",
        "roots.json",
        "unused.jsonl",
    ]


def test_a_list_has_paths_relative_to_its_own_folder(tmp_path, monkeypatch):
    sound(tmp_path / "in" / "x" / "one.wav")
    (tmp_path / "in" / "wav.scp").write_text(f"two {sound(tmp_path / 'other.wav')}\none x/one.wav\n")
    monkeypatch.chdir(tmp_path / "in" / "x")
    found = listed(tmp_path / "in" / "wav.scp", tmp_path / "out")
    assert [(one.id, one.path) for one in found] == [
        ("one", f"{tmp_path}/in/x/one.wav"),
        ("two", f"{tmp_path}/other.wav"),
    ]


def test_a_folder_that_has_moved_is_found_by_its_line_in_roots_json(tmp_path):
    sound(tmp_path / "in" / "noisy" / "a.wav")
    sound(tmp_path / "in" / "enrol" / "a.wav")
    settings = {"enrolments_dir": str(tmp_path / "in" / "enrol")}
    listed(tmp_path / "in" / "noisy", tmp_path / "out", **settings)
    (tmp_path / "in").rename(tmp_path / "there")
    roots = {name: f"{tmp_path}/there/{place}" for name, place in (("recordings", "noisy"), ("enrolments", "enrol"))}
    (tmp_path / "out" / "roots.json").write_text(json.dumps(roots))
    (entry,) = read_recordings(tmp_path / "out")
    assert (entry.path, entry.enrolment) == (f"{tmp_path}/there/noisy/a.wav", f"{tmp_path}/there/enrol/a.wav")
    assert entry.read("mix").seconds == 1.0


@pytest.mark.parametrize("name", ["a.wav", "enrol_a.wav", "a_enroll.wav", "Enrollment-a.flac"])
def test_an_enrolment_has_the_name_of_its_recording(tmp_path, name):
    for clip in ("a", "b"):
        sound(tmp_path / "noisy" / f"{clip}.wav")
    sound(tmp_path / "enrol" / name)
    found = find_recordings(Listing(f"{tmp_path}/noisy", f"{tmp_path}/enrol"))
    assert [one.enrolment for one in found] == [f"{tmp_path}/enrol/{name}", ""]


def test_or_that_of_its_speaker_whom_the_names_tell(tmp_path):
    for name in ("fan-pid_7-x", "door-pid_7-y", "fan-pid_8-z", "fan-w"):
        sound(tmp_path / "noisy" / f"{name}.wav")
    for name in ("pid_7-long", "pid_9-long"):
        sound(tmp_path / "enrol" / f"{name}.wav")
    own = sound(tmp_path / "enrol" / "door-pid_7-y.wav")
    found = find_recordings(Listing(f"{tmp_path}/noisy", f"{tmp_path}/enrol", speaker=r"pid_(\d+)"))
    shared = f"{tmp_path}/enrol/door-pid_7-y.wav"  # of two of one speaker the first by name
    assert {one.id: (one.speaker, one.enrolment) for one in found} == {
        "door-pid_7-y": ("7", str(own)),
        "fan-pid_7-x": ("7", shared),
        "fan-pid_8-z": ("8", ""),
        "fan-w": ("", ""),
    }


def test_enrolments_that_are_nobodys_are_an_error_and_those_inside_are_no_recordings(tmp_path):
    sound(tmp_path / "all" / "noisy" / "a.wav")
    sound(tmp_path / "all" / "enrol" / "b.wav")
    with pytest.raises(UserError, match="wanted enrolments with the names of recordings, found b beside noisy-a; tell"):
        find_recordings(Listing(f"{tmp_path}/all", f"{tmp_path}/all/enrol"))


def test_what_cannot_be_read_stops_the_listing_or_is_left_out_and_told(tmp_path, capsys):
    sound(tmp_path / "in" / "good.wav")
    (tmp_path / "in" / "bad.wav").write_text("no audio")
    with pytest.raises(UserError, match=r"in/bad.wav: cannot be read as audio .*--set recordings.max_bad=1$"):
        listed(tmp_path / "in", tmp_path / "out")
    assert [one.id for one in listed(tmp_path / "in", tmp_path / "out", max_bad=1)] == ["good"]
    assert "left out: " in capsys.readouterr().err
    assert json.loads((tmp_path / "out" / "unused.jsonl").read_text()) == {
        "path": "recordings:bad.wav",
        "reason": "unreadable",
    }


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: sound(path, 0.3), "wanted at least 0.5 s of audio, found 0.30 s"),
        (lambda path: path.touch(), "empty, it has no bytes"),
        (lambda path: soundfile.write(path, np.array([0.1, np.nan] * 24000), 48000, subtype="FLOAT"), "is not finite"),
    ],
)
def test_a_recording_that_is_short_empty_or_not_finite_is_told(tmp_path, make, said):
    sound(tmp_path / "in" / "good.wav")
    make(tmp_path / "in" / "bad.wav")
    with pytest.raises(UserError, match=f"bad.wav: .*{said}"):
        listed(tmp_path / "in", tmp_path / "out")


def test_a_damaged_enrolment_is_told_too(tmp_path):
    sound(tmp_path / "in" / "a.wav")
    (tmp_path / "enrol").mkdir()
    (tmp_path / "enrol" / "a.wav").write_text("no audio")
    with pytest.raises(UserError, match="enrol/a.wav: cannot be read as audio"):
        listed(tmp_path / "in", tmp_path / "out", enrolments_dir=f"{tmp_path}/enrol")


def test_silent_clips_are_left_out(tmp_path, capsys):
    half = np.concatenate([np.zeros(17000), 0.1 * np.random.default_rng(0).standard_normal(15000)])
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in" / "half.wav", half, 8000)
    assert [one.id for one in listed(tmp_path / "in", tmp_path / "out", clip_s=2.0)] == ["half-2"]
    said = capsys.readouterr().out
    assert "1 recordings are silent" in said and "1 recordings are of less than 16000 Hz" in said
    with pytest.raises(UserError, match="wanted a recording that sounds, found none among 1 files"):
        soundfile.write(tmp_path / "in" / "half.wav", np.zeros(16000), 8000)
        listed(tmp_path / "in", tmp_path / "out2")


@pytest.mark.parametrize(
    ("seconds", "clip_s", "edges"),
    [(44.0, 30, [0, 44]), (46.0, 30, [0, 23, 46]), (95.0, 30, [0, 95 / 3, 190 / 3, 95]), (95.0, 0, [0, 95])],
)
def test_clips_are_equal_and_cover_all(seconds, clip_s, edges):
    clips = cut_into_clips(RecordingEntry("a", "a.wav", 0, round(100 * seconds), 100), clip_s)
    assert [clip.start for clip in clips] == [round(100 * edge) for edge in edges[:-1]]
    assert [clip.start + clip.num_samples for clip in clips] == [round(100 * edge) for edge in edges[1:]]
    assert [clip.id for clip in clips] == (["a"] if len(clips) == 1 else [f"a-{n}" for n in range(1, len(edges))])


def test_a_clip_is_read_from_its_place(tmp_path):
    ramp = np.arange(64000) / 64000
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in" / "a.wav", ramp, 16000, subtype="FLOAT")
    first, second = listed(tmp_path / "in", tmp_path / "out", clip_s=2.0)
    assert np.allclose(np.concatenate([first.read("mix").samples, second.read("mix").samples]), ramp, atol=1e-6)
    soundfile.write(tmp_path / "in" / "a.wav", ramp[:40000], 16000, subtype="FLOAT")
    with pytest.raises(UserError, match="wanted 32000 samples from 32000 on, found 8000; it was changed"):
        second.read("mix")


def test_two_files_of_one_name_are_refused(tmp_path):
    for name in ("a.wav", "a.flac"):
        sound(tmp_path / "in" / name)
    with pytest.raises(UserError, match="wanted one name a file, found a of both"):
        find_recordings(Listing(f"{tmp_path}/in"))


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("", "--recordings: wanted a folder of recordings, or a list, found none"),
        ("nowhere", "found nothing of that name"),
        ("a.wav", "wanted a folder of recordings, or a list .*, found another file"),
        ("empty", "wanted audio files, found none"),
    ],
)
def test_a_place_without_recordings_is_told(tmp_path, place, said):
    (tmp_path / "empty").mkdir()
    sound(tmp_path / "a.wav")
    with pytest.raises(UserError, match=said):
        find_recordings(Listing(f"{tmp_path}/{place}" if place else ""))


def test_a_stopped_listing_reads_no_file_twice(tmp_path, monkeypatch, capsys):
    for name in ("a", "b"):
        sound(tmp_path / "in" / f"{name}.wav")
    (tmp_path / "in" / "c.wav").write_text("no audio")
    with pytest.raises(UserError):
        listed(tmp_path / "in", tmp_path / "out")
    sound(tmp_path / "in" / "c.wav")
    assert [one.id for one in listed(tmp_path / "in", tmp_path / "out")] == ["a", "b", "c"]
    assert "2 of 3 recordings were read before" in capsys.readouterr().out


def test_max_bad_does_not_define_the_list(tmp_path):
    listing = Listing(f"{tmp_path}/in")
    one, two = (recordings_part(tmp_path / "out", each) for each in (listing, Listing(f"{tmp_path}/in", max_bad=3)))
    assert one.fingerprint() == two.fingerprint()
    assert one.fingerprint() != recordings_part(tmp_path / "out", Listing(f"{tmp_path}/in", clip_s=9)).fingerprint()
