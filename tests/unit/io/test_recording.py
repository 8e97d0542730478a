import os
import shutil
import stat

import numpy as np
import pytest
import soundfile

from wesep_mix.base.errors import UserError
from wesep_mix.io.recording import LEAST_S, Recording, at_rate, from_samples, read_recording, write_like


def tone(hz: float, rate: int, seconds: float = 2.0, gain: float = 0.3) -> np.ndarray:
    return (gain * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100, 48000, 96000])
def test_any_rate_is_read_as_16_khz_and_written_back_as_long_as_it_was(rate, tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(440, rate, 2.0003), rate, subtype="FLOAT")
    recording = read_recording(tmp_path / "a.wav")
    inner = slice(800, 31000)  # away from where the signal begins and ends
    assert np.abs(recording.samples[inner] - tone(440, 16000)[inner]).max() < 2e-4
    assert (recording.sample_rate, recording.num_frames) == (rate, round(rate * 2.0003))
    write_like(tmp_path / "back.wav", recording.samples, recording)
    back, found = soundfile.read(tmp_path / "back.wav", dtype="float32")
    assert found == rate and len(back) == round(rate * 2.0003)
    inner = slice(rate // 10, -rate // 10)
    assert np.abs(back[inner] - tone(440, rate, 2.0003)[inner]).max() < 4e-4


def test_a_long_recording_is_the_same_however_it_is_cut(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).standard_normal(3 * 44100).astype(np.float32) * 0.1
    soundfile.write(tmp_path / "a.wav", noise, 44100, subtype="FLOAT")
    whole = read_recording(tmp_path / "a.wav").samples
    monkeypatch.setattr("wesep_mix.io.recording.BLOCK_S", 0.37)
    assert np.array_equal(read_recording(tmp_path / "a.wav").samples, whole)


def test_channels_are_mixed_or_taken(tmp_path):
    both = np.stack([tone(300, 16000), tone(500, 16000)], axis=1)
    soundfile.write(tmp_path / "a.wav", both, 16000, subtype="FLOAT")
    assert np.allclose(read_recording(tmp_path / "a.wav").samples, both.mean(1))
    assert np.array_equal(read_recording(tmp_path / "a.wav", "2").samples, both[:, 1])
    assert read_recording(tmp_path / "a.wav").num_channels == 2
    for wrong in ("0", "3", "left", "-1", "²"):
        with pytest.raises(UserError, match=f"a.wav: channel: wanted mix or a number from 1 to 2, found {wrong}$"):
            read_recording(tmp_path / "a.wav", wrong)


@pytest.mark.parametrize(("name", "subtype"), [("a.flac", "PCM_16"), ("a.ogg", "VORBIS"), ("a.mp3", "MPEG_LAYER_III")])
def test_other_formats_of_libsndfile(name, subtype, tmp_path):
    soundfile.write(tmp_path / name, tone(440, 16000), 16000, subtype=subtype)
    assert abs(read_recording(tmp_path / name).seconds - 2.0) < 0.2


def written(path, samples, rate=16000):
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


def test_what_is_no_recording_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("not audio at all\n" * 50)
    holed = tone(440, 16000)
    holed[70] = np.nan
    for path, said in (
        (tmp_path, "wanted a recording, found a folder; name one of its files"),
        (tmp_path / "absent.wav", "no such file"),
        (tmp_path / "empty.wav", "empty, it has no bytes"),
        (tmp_path / "text.wav", "cannot be read as audio .*; more formats can be read where ffmpeg is installed"),
        (written(tmp_path / "short.wav", holed[100:200]), f"wanted at least {LEAST_S:g} s of audio, found 0.01 s"),
        (written(tmp_path / "none.wav", holed[:0]), f"wanted at least {LEAST_S:g} s of audio, found 0.00 s"),
        (written(tmp_path / "nan.wav", holed), r"sample 70 is not finite \(NaN or infinite\); mend the file"),
    ):
        with pytest.raises(UserError, match=f"^{path}: {said}$"):
            read_recording(path)


def stand_in_ffmpeg(folder, script: str, monkeypatch) -> None:
    """A program of that name in front of all others; it is called as ours calls the real one."""
    folder.mkdir(exist_ok=True)
    program = folder / "ffmpeg"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_what_libsndfile_does_not_know_goes_through_ffmpeg(tmp_path, monkeypatch):
    (tmp_path / "talk.m4a").write_bytes(b"\0\0\0\x20ftypM4A " * 20)
    soundfile.write(tmp_path / "made.w64", tone(440, 48000), 48000, subtype="FLOAT")
    script = f'for last; do :; done; [ "$5" = "file:{tmp_path}/talk.m4a" ] && cp {tmp_path}/made.w64 "$last"'
    stand_in_ffmpeg(tmp_path / "bin", script, monkeypatch)
    assert read_recording(tmp_path / "talk.m4a").sample_rate == 48000
    stand_in_ffmpeg(tmp_path / "bin", "echo \"Stream map '0:a:0' matches no streams.\" >&2; exit 1", monkeypatch)
    with pytest.raises(UserError, match="talk.m4a: wanted a recording, found a file without audio$"):
        read_recording(tmp_path / "talk.m4a")
    stand_in_ffmpeg(tmp_path / "bin", "echo 'moov atom not found' >&2; exit 1", monkeypatch)
    with pytest.raises(UserError, match=r"talk.m4a: cannot be read as audio \(ffmpeg: moov atom not found\)$"):
        read_recording(tmp_path / "talk.m4a")


def test_samples_in_memory():
    stereo = np.stack([tone(300, 8000), tone(500, 8000)])
    recording = from_samples(stereo, 8000, "mine")
    assert (recording.name, recording.num_channels, recording.num_frames) == ("mine", 2, 16000)
    assert abs(len(recording.samples) - 32000) <= 1
    with pytest.raises(UserError, match=r"mine: wanted samples of shape \[T\] or \[channels, T\], found \[1, 1, 3\]"):
        from_samples(np.zeros((1, 1, 3)), 8000, "mine")
    with pytest.raises(UserError, match="mine: wanted at least"):
        from_samples(np.zeros(10), 8000, "mine")


def test_at_another_rate_it_has_the_length_that_is_asked_for():
    assert len(at_rate(tone(440, 16000), 44100, 88201)) == 88201
    assert len(at_rate(tone(440, 16000), 44100, 88100)) == 88100


def test_a_loud_one_is_written_as_float_and_a_wrong_one_not_at_all(tmp_path):
    loud = 1.5 * tone(440, 16000) / 0.3
    recording = Recording("a", loud, 16000, len(loud), 1)
    write_like(tmp_path / "loud.wav", loud, recording)
    assert soundfile.info(tmp_path / "loud.wav").subtype == "FLOAT"
    with pytest.raises(UserError, match="not finite"):
        write_like(tmp_path / "nan.wav", np.full(16000, np.nan, dtype=np.float32), recording)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["loud.wav"]


def test_a_stretch_is_as_long_as_it_is_in_the_recording(tmp_path):
    recording = from_samples(tone(440, 44100, 5.0), 44100)
    write_like(tmp_path / "part.wav", recording.samples[16000:64000], recording, 16000)
    assert soundfile.info(tmp_path / "part.wav").frames == 3 * 44100


def test_one_that_ends_too_early_is_one_sentence(tmp_path):
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 40 * 16000)
    soundfile.write(tmp_path / "whole.flac", noise, 16000)
    whole = (tmp_path / "whole.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) * 7 // 8])
    with pytest.raises(UserError, match=r"cut.flac: its audio is cut off or damaged, somewhere after 30 s \("):
        read_recording(tmp_path / "cut.flac")
