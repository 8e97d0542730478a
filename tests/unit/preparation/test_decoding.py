import shutil
from collections import namedtuple

import numpy as np
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.base.names import SETS
from wesep_mix.io import decoded
from wesep_mix.io.audio import read_audio, write_audio
from wesep_mix.io.decoded import DecodedAudio
from wesep_mix.preparation import decoding
from wesep_mix.preparation.activity import Crop
from wesep_mix.preparation.decoding import decode_corpus
from wesep_mix.preparation.lists import NoiseEntry, SpeechEntry, write_lists

RATE = 16000


@pytest.fixture
def lists(tmp_path, monkeypatch):
    """Ten utterances and a noise a set, one of the noises of floats; a noise is shared by two sets."""
    monkeypatch.setattr(decoding, "MIN_FILES", 4)
    rng = np.random.default_rng(0)
    for name in SETS:
        paths = [tmp_path / "speech" / f"{name}-{number}.flac" for number in range(10)]
        noise = tmp_path / "noise" / ("shared.wav" if name != "test" else "float.wav")
        for path in (*paths, noise):
            write_audio(path, rng.uniform(-0.9, 0.9, 3000), subtype="FLOAT" if "float" in path.name else "PCM_16")
        entries = [SpeechEntry(path.stem, path.stem, "F", str(path), (Crop(0, 1.0, -20.0),)) for path in paths]
        write_lists(tmp_path / "lists" / name, entries, [NoiseEntry(noise.stem, str(noise), 3000, "white")])
    return tmp_path / "lists"


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def everything(tmp_path):
    return sorted([*(tmp_path / "speech").iterdir(), *(tmp_path / "noise").iterdir()])


def test_all_speech_and_noise_can_be_read_from_there(lists, tmp_path, capsys):
    decode_corpus(lists, tmp_path / "decoded", nj=1)
    read = DecodedAudio(tmp_path / "decoded")
    for path in everything(tmp_path):
        assert np.array_equal(read(path), read_audio(path))
    assert [path.name for path in everything(tmp_path) if path not in read] == ["float.wav"]
    said = capsys.readouterr().out
    assert f"decoding 32 files takes 0.00 GB in {tmp_path / 'decoded'}" in said
    assert "note: decoding: 1 of 32 files are not 16-bit and are read from their originals" in said


def test_it_takes_two_bytes_a_sample(lists, tmp_path):
    decode_corpus(lists, tmp_path / "decoded", nj=1)
    sizes = [path.stat().st_size for path in (tmp_path / "decoded").glob("*.s16")]
    assert len(sizes) == 8 and sum(sizes) == 31 * 3000 * 2


def test_the_number_of_processes_changes_nothing(lists, tmp_path):
    for nj in (1, 3):
        decode_corpus(lists, tmp_path / f"{nj}", nj)
    assert contents(tmp_path / "1") == contents(tmp_path / "3")


def test_a_killed_run_goes_on_with_the_missing_parts(lists, tmp_path, monkeypatch):
    decode_corpus(lists, tmp_path / "whole", nj=1)
    out, written, real = tmp_path / "decoded", [], decoded.write_part

    def write_part(folder, number, paths):
        if number == 3:
            (folder / ".0003.1234.tmp.s16").write_bytes(b"half")
            raise KeyboardInterrupt
        written.append(number)
        real(folder, number, paths)

    monkeypatch.setattr(decoded, "write_part", write_part)
    with pytest.raises(KeyboardInterrupt):
        decode_corpus(lists, out, nj=1)
    assert written == [0, 1, 2] and not (out / "index.npy").exists()
    monkeypatch.setattr(decoded, "write_part", lambda *what: written.append(what[1]) or real(*what))
    decode_corpus(lists, out, nj=1)
    assert written == list(range(8)) and contents(out) == contents(tmp_path / "whole")


def test_a_disk_without_the_space_is_refused_beforehand(lists, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 0, 32 * 3000 * 2 - 1))
    with pytest.raises(UserError, match=r"decoded speech and noise take 0\.00 GB, found .*; free space, or set deco"):
        decode_corpus(lists, tmp_path / "decoded", nj=1)
    assert list((tmp_path / "decoded").iterdir()) == []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 0, 32 * 3000 * 2))
    decode_corpus(lists, tmp_path / "decoded", nj=1)


def test_a_file_that_is_gone_is_named(lists, tmp_path):
    (tmp_path / "speech" / "dev-3.flac").unlink()
    with pytest.raises(UserError, match="dev-3.flac: cannot be read as audio"):
        decode_corpus(lists, tmp_path / "decoded", nj=2)
