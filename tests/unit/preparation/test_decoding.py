import shutil
from collections import namedtuple

import numpy as np
import pytest
import soundfile

from wesep_mix.base.errors import UserError
from wesep_mix.base.names import SETS
from wesep_mix.io.audio import read_audio, write_audio
from wesep_mix.io.roots import read_roots, write_roots
from wesep_mix.preparation import decoding
from wesep_mix.preparation.activity import Crop
from wesep_mix.preparation.decoding import decode_corpus
from wesep_mix.preparation.lists import NoiseEntry, SpeechEntry, read_noises, read_speech, write_lists


@pytest.fixture
def lists(tmp_path):
    """Ten utterances and a noise a set: 16-bit FLAC, a wav of floats, a 16-bit wav."""
    rng = np.random.default_rng(0)
    write_roots(tmp_path, {"speech": str(tmp_path / "speech"), "noise": str(tmp_path / "noise")})
    for name, noise_name in zip(SETS, ("plain.flac", "float.wav", "plain.wav"), strict=True):
        paths = [tmp_path / "speech" / f"{name}-{number}.flac" for number in range(10)]
        noise = tmp_path / "noise" / noise_name
        for path in (*paths, noise):
            write_audio(path, rng.uniform(-0.9, 0.9, 3000), subtype="FLOAT" if "float" in path.name else "PCM_16")
        entries = [SpeechEntry(path.stem, path.stem, "F", str(path), (Crop(0, 1.0, -20.0),)) for path in paths]
        write_lists(tmp_path / "lists" / name, entries, [NoiseEntry(noise.stem, str(noise), 3000, "white")])
    return tmp_path / "lists"


def named(lists):
    """All files that the lists name, read now."""
    return sorted(entry.path for name in SETS for entry in (*read_speech(lists / name), *read_noises(lists / name)))


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_lists_name_wavs_of_the_same_samples_from_then_on(lists, tmp_path, capsys):
    before = {path: read_audio(path) for path in named(lists)}
    texts = contents(lists)
    decode_corpus(lists, tmp_path / "decoded", nj=1)
    after = named(lists)
    kept = [str(tmp_path / "noise" / name) for name in ("float.wav", "plain.wav")]
    assert [path for path in after if "decoded" not in path] == kept and len(after) == len(before)
    for path in set(after) - set(kept):
        original = path.replace("/decoded/", "/").removesuffix(".wav")
        assert read_audio(path).tobytes() == before[original].tobytes()
        assert (soundfile.info(path).format, soundfile.info(path).subtype) == ("WAV", "PCM_16")
    assert contents(lists) == texts
    said = capsys.readouterr().out
    assert f"decoding 31 files takes 0.00 GB in {tmp_path / 'decoded'}" in said
    assert "note: decoding: 2 of 33 files are read from their originals" in said


@pytest.mark.parametrize(("suffix", "subtype"), [("flac", "PCM_24"), ("ogg", "VORBIS")])
def test_what_is_not_exact_in_16_bits_becomes_a_wav_of_floats(lists, tmp_path, suffix, subtype):
    path = tmp_path / "speech" / f"dev-3.{suffix}"
    soundfile.write(path, np.random.default_rng(1).uniform(-0.9, 0.9, 3000), 16000, subtype=subtype)
    before = read_audio(path)
    entry = SpeechEntry("dev-3", "dev-3", "F", str(path), (Crop(0, 1.0, -20.0),))
    write_lists(lists / "dev", [entry], read_noises(lists / "dev"))
    decode_corpus(lists, tmp_path / "decoded", nj=1)
    full = read_roots(tmp_path).full(f"speech:dev-3.{suffix}")
    assert "decoded" in full and soundfile.info(full).subtype == "FLOAT"
    assert read_audio(full).tobytes() == before.tobytes()


def test_full_scale_stays_full_scale(lists, tmp_path):
    path = tmp_path / "speech" / "dev-0.flac"
    soundfile.write(path, np.array([-32768, 32767, 0, 1, -1] * 100, dtype=np.int16), 16000)
    before = read_audio(path)
    decode_corpus(lists, tmp_path / "decoded", nj=1)
    assert read_audio(read_roots(tmp_path).full("speech:dev-0.flac")).tobytes() == before.tobytes()


def test_the_number_of_processes_changes_nothing(lists, tmp_path):
    for nj in (1, 3):
        decode_corpus(lists, tmp_path / f"{nj}", nj)
    assert contents(tmp_path / "1") == contents(tmp_path / "3")


def test_a_killed_run_goes_on_with_the_missing_files(lists, tmp_path, monkeypatch):
    decode_corpus(lists, tmp_path / "whole", nj=1)
    out, read, real = tmp_path / "decoded", [], decoding.read_audio

    def killed(path):
        if len(read) == 3:
            raise KeyboardInterrupt
        read.append(path)
        return real(path)

    monkeypatch.setattr(decoding, "read_audio", killed)
    with pytest.raises(KeyboardInterrupt):
        decode_corpus(lists, out, nj=1)
    assert not (out / "originals.json").exists() and not any("decoded" in path for path in named(lists))
    monkeypatch.setattr(decoding, "read_audio", lambda path: read.append(path) or real(path))
    decode_corpus(lists, out, nj=1)
    assert len(set(read)) == len(read) == 31 and contents(out) == contents(tmp_path / "whole")


def test_a_disk_without_the_space_is_refused_beforehand(lists, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 0, 31 * 3000 * 2 - 1))
    (tmp_path / "decoded").mkdir()
    with pytest.raises(UserError, match=r"decoded speech and noise take 0\.00 GB, found .*; free space, or set deco"):
        decode_corpus(lists, tmp_path / "decoded", nj=1)
    assert list((tmp_path / "decoded").iterdir()) == []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 0, 31 * 3000 * 2))
    decode_corpus(lists, tmp_path / "decoded", nj=1)


def test_a_file_that_is_gone_is_named(lists, tmp_path):
    (tmp_path / "speech" / "dev-3.flac").unlink()
    with pytest.raises(UserError, match="dev-3.flac: cannot be read as audio"):
        decode_corpus(lists, tmp_path / "decoded", nj=2)


def test_lists_of_an_older_revision_are_told(lists, tmp_path):
    (tmp_path / "roots.json").unlink()
    with pytest.raises(UserError, match="wanted lists with roots, found those of an older revision; list anew"):
        decode_corpus(lists, tmp_path / "decoded", nj=1)
