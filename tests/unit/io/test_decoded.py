import pickle
import shutil

import numpy as np
import pytest
import soundfile

from wesep_mix.base.errors import UserError
from wesep_mix.io import decoded
from wesep_mix.io.audio import read_audio, write_audio
from wesep_mix.io.decoded import DecodedAudio, name_corpus, reader_of, write_index, write_part

RATE = 16000
NOISE = np.random.default_rng(0).uniform(-1, 1, (6, 5000)).astype(np.float32)


@pytest.fixture
def files(tmp_path):
    """Two FLACs of 16 bits, a WAV of 16 bits in stereo, one of 8 bits, one of 24 and one of floats."""
    kinds = {
        "a.flac": "PCM_16",
        "b.flac": "PCM_16",
        "c.wav": "PCM_16",
        "d.wav": "PCM_U8",
        "e.flac": "PCM_24",
        "f.wav": "FLOAT",
    }
    for samples, (name, kind) in zip(NOISE, kinds.items(), strict=True):
        stereo = np.stack([samples, samples[::-1]], axis=1)
        soundfile.write(tmp_path / name, stereo if name == "c.wav" else samples, RATE, subtype=kind)
    return [str(tmp_path / name) for name in kinds]


@pytest.fixture
def folder(files, tmp_path):
    """The files decoded in two parts."""
    out = tmp_path / "corpus" / "decoded"
    write_part(out, 0, files[:2])
    write_part(out, 1, files[2:])
    assert write_index(out, 2) == 4
    return out


def bits(samples):
    return samples.dtype, samples.tobytes()


@pytest.mark.parametrize("start, size", [(0, None), (0, 5000), (1, 10), (4990, 10), (17, None), (5000, 0)])
def test_every_stretch_is_the_originals_bit_for_bit(files, folder, start, size):
    read = DecodedAudio(folder)
    for path in files:
        assert bits(read(path, start, size)) == bits(read_audio(path, start, size))


def test_what_16_bits_do_not_hold_is_left_to_its_original(files, folder):
    read = DecodedAudio(folder)
    assert [path in read for path in files] == [True] * 4 + [False] * 2
    for path in files:
        shutil.move(path, path + ".away")
    assert len(read(files[0])) == len(read(files[3])) == 5000
    with pytest.raises(UserError, match="e.flac: cannot be read as audio"):
        read(files[4])


def test_a_float_file_of_16_bit_values_is_taken_and_a_louder_one_is_not(tmp_path):
    whole = np.array([-32768, -1, 0, 1, 32767], dtype=np.float32)
    signals = {"16": whole / 32768, "loud": whole / 16384, "edge": (whole + 1) / 32768, "minus": -whole[2:3] / 32768}
    for name, samples in signals.items():
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE, subtype="FLOAT")
    write_part(tmp_path, 0, [str(tmp_path / f"{name}.wav") for name in signals])
    assert write_index(tmp_path, 1) == 1
    assert str(tmp_path / "16.wav") in DecodedAudio(tmp_path)


@pytest.mark.parametrize("start, size", [(0, 5001), (4990, 11), (-1, 5), (5001, None), (0, -2)])
def test_a_stretch_that_is_not_there_is_told_as_of_the_original(files, folder, start, size):
    said = []
    for read in (read_audio, DecodedAudio(folder)):
        with pytest.raises(UserError, match="a.flac: wanted samples") as caught:
            read(files[0], start, size)
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_another_rate_is_asked_of_the_original(files, folder):
    with pytest.raises(UserError, match="a.flac: wanted 8000 Hz, found 16000 Hz"):
        DecodedAudio(folder)(files[0], sample_rate=8000)


def test_samples_are_the_callers_own(files, folder):
    read = DecodedAudio(folder)
    read(files[0])[:] = 0
    assert read(files[0]).any()


def test_it_travels_as_the_folders_name(files, folder):
    read = DecodedAudio(folder)
    before = read(files[0])
    sent = pickle.dumps(read)
    assert len(sent) < 400
    assert np.array_equal(pickle.loads(sent)(files[0]), before)


def test_a_file_that_changed_after_it_was_decoded_is_read_as_it_was(files, folder):
    before = read_audio(files[0])
    write_audio(files[0], np.zeros(5000))
    assert np.array_equal(DecodedAudio(folder)(files[0]), before)


def test_a_part_that_is_there_is_not_decoded_again(files, folder):
    for path in files[:2]:
        shutil.move(path, path + ".away")
    stamp = (folder / "0000.s16").stat().st_mtime_ns
    write_part(folder, 0, files[:2])
    assert (folder / "0000.s16").stat().st_mtime_ns == stamp


def test_an_unreadable_file_leaves_no_part(files, tmp_path):
    with pytest.raises(UserError, match="no.wav: cannot be read"):
        write_part(tmp_path / "out", 0, [files[0], str(tmp_path / "no.wav")])
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("name", ["0000.s16", "index.npy"])
def test_a_damaged_folder_is_told(files, folder, name):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) - 100])
    with pytest.raises(UserError, match=f"{name}: decoded audio cannot be read .*; remove the folder"):
        DecodedAudio(folder)(files[0])
    (folder / name).unlink()
    with pytest.raises(UserError, match=f"{name}: decoded audio cannot be read"):
        DecodedAudio(folder)(files[0])


def test_a_part_without_any_file_is_never_opened(files, tmp_path):
    write_part(tmp_path / "out", 0, files[4:])
    assert write_index(tmp_path / "out", 1) == 0
    assert np.array_equal(DecodedAudio(tmp_path / "out")(files[5]), NOISE[5])


def test_two_files_of_one_hash_are_both_left_out(files, tmp_path, monkeypatch):
    monkeypatch.setattr(decoded, "_key", lambda path: np.uint64(7 if str(path) in files[:2] else 9))
    write_part(tmp_path / "out", 0, files[:3])
    assert write_index(tmp_path / "out", 1) == 1
    read = DecodedAudio(tmp_path / "out")
    assert [path in read for path in files[:3]] == [False, False, True]


def test_a_prepared_set_finds_its_decoded_audio(folder, tmp_path, files):
    reader = reader_of(tmp_path / "2mix" / "train")
    assert isinstance(reader, DecodedAudio) and files[0] in reader
    (folder / "index.npy").unlink()
    assert reader_of(tmp_path / "2mix" / "train") is read_audio
    assert reader_of(tmp_path / "elsewhere" / "2mix" / "train") is read_audio


def test_the_corpus_of_another_recipe_is_found_by_its_name_and_moves_with_it(folder, tmp_path, files):
    (tmp_path / "data" / "libri2mix").mkdir(parents=True)
    (tmp_path / "data" / "libri3mix" / "3mix").mkdir(parents=True)
    (tmp_path / "corpus").rename(tmp_path / "data" / "libri2mix" / "corpus")
    data = tmp_path / "data" / "libri3mix" / "3mix"
    assert reader_of(data / "test") is read_audio
    name_corpus(data, tmp_path / "data" / "libri2mix" / "corpus")
    assert files[0] in reader_of(data / "test")
    (tmp_path / "data").rename(tmp_path / "scratch")
    assert files[0] in reader_of(tmp_path / "scratch" / "libri3mix" / "3mix" / "test")
