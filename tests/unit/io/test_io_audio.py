import numpy as np
import pytest
import soundfile

from wesep_mix.base.errors import UserError
from wesep_mix.io.audio import dc_offset, num_channels, num_frames, read_audio, rumble_share, write_audio

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


def header_says(path, num_bytes):
    """A wav of a second whose header says so many bytes of samples."""
    write_audio(path, np.zeros(16000, np.float32))
    data = bytearray(path.read_bytes())
    place = data.index(b"data") + 4
    data[place : place + 4] = num_bytes.to_bytes(4, "little")
    path.write_bytes(data)


@pytest.mark.parametrize("read", [read_audio, num_frames])
class TestLengthsInHeaders:
    def test_an_unfinished_recording_is_told_from_an_empty_file(self, tmp_path, read):
        header_says(tmp_path / "a.wav", 0)
        with pytest.raises(UserError, match="a.wav: its header says no samples, but .* bytes follow: an unfinished"):
            read(tmp_path / "a.wav")
        write_audio(tmp_path / "b.wav", np.zeros(0, np.float32))
        with pytest.raises(UserError, match="b.wav: empty, it holds no samples"):
            read(tmp_path / "b.wav")

    def test_a_flac_file_of_unknown_length(self, tmp_path, read):
        write_audio(tmp_path / "a.flac", np.zeros(16000, np.float32))
        data = bytearray((tmp_path / "a.flac").read_bytes())
        data[21], data[22:26] = data[21] & 0xF0, bytes(4)  # number of samples: 0, which means unknown
        (tmp_path / "a.flac").write_bytes(data)
        with pytest.raises(UserError, match="a.flac: its header does not say how long it is"):
            read(tmp_path / "a.flac")

    def test_a_wav_that_was_cut(self, tmp_path, read):
        write_audio(tmp_path / "a.wav", np.zeros(16000, np.float32))
        (tmp_path / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:20000])
        with pytest.raises(UserError, match="a.wav: truncated, its header promises 32000 bytes .*, found 19956"):
            read(tmp_path / "a.wav")

    @pytest.mark.parametrize("num_bytes", [0xFFFFFFFF, 0x7FFFFFFF - 36])
    def test_a_wav_written_to_a_pipe_goes_to_its_end(self, tmp_path, read, num_bytes):
        header_says(tmp_path / "a.wav", num_bytes)
        found = read(tmp_path / "a.wav")
        assert (found if isinstance(found, int) else len(found)) == 16000


def test_a_file_whose_folder_is_gone_has_a_hint(tmp_path):
    with pytest.raises(UserError) as caught:
        read_audio(tmp_path / "a.wav")
    assert str(caught.value) == f"{tmp_path}/a.wav: cannot be read as audio (no such file)"
    with pytest.raises(UserError, match=f"no such file.; all of {tmp_path}/old is gone: .*corpus/roots.json$"):
        read_audio(tmp_path / "old" / "speech" / "1" / "a.wav")
    (tmp_path / "link.wav").symlink_to(tmp_path / "nothing")
    with pytest.raises(UserError, match="link.wav: cannot be read as audio .no such file.$"):
        read_audio(tmp_path / "link.wav")


def test_an_offset_is_measured_where_it_is_large(buzz):
    speech = buzz(100, 1.0).astype(np.float64)
    speech -= speech.mean()
    power = np.square(speech).mean()
    for level_db, found in ((-39, True), (-41, False), (3, True)):
        dc = -np.sqrt(power * 10 ** (level_db / 10))
        assert dc_offset((speech + dc).astype(np.float32), -40.0) == (pytest.approx(dc, rel=1e-4) if found else 0.0)
    assert dc_offset(np.zeros(10, np.float32), -40.0) == 0.0


def test_the_share_of_power_below_hearing(buzz):
    time = np.arange(32000) / 16000
    tone, rumble = np.sin(2 * np.pi * 300 * time), np.sin(2 * np.pi * 7 * time)
    assert rumble_share(tone) < 0.01 and rumble_share(rumble + 5) > 0.9 and 0.4 < rumble_share(tone + rumble) < 0.55
    assert rumble_share(np.zeros(1000)) == rumble_share(np.ones(3)) == 0.0


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_sixteen_bits_are_the_floats_of_libsndfile(tmp_path, name):
    soundfile.write(tmp_path / name, np.arange(-32768, 32768, dtype=np.int16), 16000, subtype="PCM_16")
    wanted, _ = soundfile.read(tmp_path / name, dtype="float32")
    found = read_audio(tmp_path / name)
    assert found.dtype == np.float32 and found.tobytes() == wanted.tobytes()
