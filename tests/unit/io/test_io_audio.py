import numpy as np
import pytest
import soundfile

from wesep_mix.errors import UserError
from wesep_mix.io.audio import num_channels, read_audio, write_audio

NOISE = (0.2 * np.random.default_rng(0).standard_normal(4000)).clip(-0.99, 0.99).astype(np.float32)


@pytest.fixture
def wav(tmp_path):
    write_audio(tmp_path / "a.wav", NOISE, subtype="FLOAT")
    return tmp_path / "a.wav"


def test_float_comes_back_bit_for_bit(wav):
    samples = read_audio(wav)
    assert samples.dtype == np.float32 and np.array_equal(samples, NOISE)
    assert num_channels(wav) == 1


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_16_bit_keeps_level_and_sign(tmp_path, name):
    write_audio(tmp_path / name, NOISE)
    assert soundfile.info(tmp_path / name).subtype == "PCM_16"
    assert np.abs(read_audio(tmp_path / name) - NOISE).max() <= 1 / 32768


@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize("start, size", [(0, 4000), (0, 1), (1, 10), (3990, 10), (4000, 0), (17, None)])
def test_a_stretch_is_the_same_as_in_the_whole(tmp_path, suffix, start, size):
    path = tmp_path / f"a.{suffix}"
    write_audio(path, NOISE)
    end = None if size is None else start + size
    assert np.array_equal(read_audio(path, start, size), read_audio(path)[start:end])


@pytest.mark.parametrize("start, size", [(0, 4001), (3990, 11), (-1, 5), (4001, None), (0, -2)])
def test_a_stretch_that_is_not_there(wav, start, size):
    with pytest.raises(UserError, match="a.wav: wanted samples .*, found 4000 in the file"):
        read_audio(wav, start, size)


def test_another_rate_is_refused(tmp_path):
    write_audio(tmp_path / "a.wav", NOISE, sample_rate=8000)
    with pytest.raises(UserError, match="a.wav: wanted 16000 Hz, found 8000 Hz"):
        read_audio(tmp_path / "a.wav")
    assert len(read_audio(tmp_path / "a.wav", sample_rate=8000)) == 4000


def test_of_stereo_the_first_channel_is_taken(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([NOISE, -NOISE], axis=1), 16000, subtype="FLOAT")
    assert num_channels(tmp_path / "a.wav") == 2
    assert np.array_equal(read_audio(tmp_path / "a.wav"), NOISE)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_not_finite_is_named(tmp_path, bad):
    samples = NOISE.copy()
    samples[[1234, 3000]] = bad
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    with pytest.raises(UserError, match="a.wav: sample 1234 is not finite"):
        read_audio(tmp_path / "a.wav")
    with pytest.raises(UserError, match="a.wav: sample 3000 is not finite"):
        read_audio(tmp_path / "a.wav", 2000)
    assert len(read_audio(tmp_path / "a.wav", 0, 1234)) == 1234


def test_no_samples(tmp_path):
    soundfile.write(tmp_path / "a.wav", NOISE[:0], 16000)
    with pytest.raises(UserError, match="a.wav: empty, it holds no samples"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("content", [b"RIFF", b"hello" * 99])
@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_what_is_no_audio(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    for read in (read_audio, num_channels):
        with pytest.raises(UserError, match=f"{name}: cannot be read as audio"):
            read(tmp_path / name)


def test_a_file_without_bytes(tmp_path):
    (tmp_path / "a.flac").touch()
    for read in (read_audio, num_channels):
        with pytest.raises(UserError, match="a.flac: empty, it has no bytes"):
            read(tmp_path / "a.flac")


def test_a_missing_file(tmp_path):
    for read in (read_audio, num_channels):
        with pytest.raises(UserError, match="a.wav: cannot be read as audio"):
            read(tmp_path / "a.wav")


def test_a_truncated_flac_is_named(tmp_path):
    path = tmp_path / "a.flac"
    write_audio(path, np.tile(NOISE, 10))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match="a.flac: "):
        read_audio(path)


def test_what_would_clip_is_not_written_in_16_bit(tmp_path):
    with pytest.raises(UserError, match="a.wav: not written, peak 1.50 would clip in PCM_16"):
        write_audio(tmp_path / "a.wav", np.array([0.0, -1.5]))
    assert list(tmp_path.iterdir()) == []
    write_audio(tmp_path / "a.wav", np.array([0.0, -1.5]), subtype="FLOAT")
    assert read_audio(tmp_path / "a.wav").tolist() == [0.0, -1.5]
    write_audio(tmp_path / "full.wav", np.array([1.0, -1.0]))
    assert np.allclose(read_audio(tmp_path / "full.wav"), [1.0, -1.0], atol=1e-4)


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_what_is_not_finite_is_not_written(wav, subtype):
    with pytest.raises(UserError, match="a.wav: not written, the audio holds samples that are not finite"):
        write_audio(wav, np.array([0.0, np.nan]), subtype=subtype)
    assert np.array_equal(read_audio(wav), NOISE) and list(wav.parent.iterdir()) == [wav]
