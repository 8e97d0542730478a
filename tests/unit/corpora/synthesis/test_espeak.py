import os

import numpy as np
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.corpora.synthesis.espeak import Espeak, call_forked, data_folder, resampled
from wesep_mix.corpora.synthesis.speech import draw_utterance
from wesep_mix.corpora.synthesis.voices import ACCENTS, draw_voices, write_variants

VOICES = draw_voices("test", 4, seed=0)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voices")
    write_variants(VOICES, folder)
    with data_folder(folder) as root:
        yield root


def _utterance(data, voice, name="x", min_s=6.0, max_s=10.0, before=()):
    espeak = Espeak(data)
    for other in before:
        espeak.speak("Something said before.", other.espeak_name, 150)
    return draw_utterance(espeak, voice, name, min_s, max_s, seed=0)


def test_utterances_are_as_long_and_as_loud_as_wanted(data):
    for number, voice in enumerate(VOICES):
        samples = call_forked(_utterance, data, voice, str(number))
        assert samples.dtype == np.float32
        assert 6.0 <= len(samples) / 16000 <= 10.0
        assert 0.35 < np.abs(samples).max() < 0.9
        assert np.sqrt(np.mean(samples**2)) > 0.02


def test_a_narrow_range_of_lengths_is_kept(data):
    samples = call_forked(_utterance, data, VOICES[0], "narrow", 2.0, 2.2)
    assert 2.0 <= len(samples) / 16000 <= 2.2


def test_forked_utterances_do_not_depend_on_what_was_said_before(data):
    first = call_forked(_utterance, data, VOICES[2])
    call_forked(_utterance, data, VOICES[1])
    assert np.array_equal(first, call_forked(_utterance, data, VOICES[2]))
    assert not np.array_equal(first, call_forked(_utterance, data, VOICES[2], "y")[: len(first)])


def test_why_the_forks_are_needed(data):
    """Fails when espeak-ng can be reset: then the forks can go."""
    clean = call_forked(_utterance, data, VOICES[2])
    assert not np.array_equal(clean, call_forked(_utterance, data, VOICES[2], "x", 6.0, 10.0, (VOICES[0],)))


def test_voices_differ(data):
    spectra = [np.abs(np.fft.rfft(call_forked(_utterance, data, voice), 160000)) for voice in VOICES]
    bands = np.log([[part.sum() for part in np.array_split(spectrum[1000:60000], 20)] for spectrum in spectra])
    distances = np.abs(bands[:, None] - bands[None]).mean(-1)[~np.eye(len(VOICES), dtype=bool)]
    assert distances.min() > 0.15


def test_unknown_voice_is_named(data):
    with pytest.raises(UserError, match="no voice 'xx-none"):
        call_forked(lambda: Espeak(data).speak("Hello.", "xx-none+v", 150))


def test_as_many_voices_as_espeak_has_room_for_and_no_more(tmp_path):
    names = [f"v{place:03d}" for place in range(336)]
    for name in names:
        (tmp_path / name).write_text(VOICES[0].variant)
    with data_folder(tmp_path) as root:
        for voice in (f"{accent}+{name}" for accent, name in ((ACCENTS[0], names[0]), (ACCENTS[-1], names[-1]))):
            assert len(call_forked(lambda voice=voice: Espeak(root).speak("Hello.", voice, 150))) > 1000
    (tmp_path / "more").write_text(VOICES[0].variant)
    too_many = "at most 336 voices.*found 337; lower corpus.num_voices"
    with pytest.raises(UserError, match=too_many), data_folder(tmp_path):
        pass


def test_a_too_long_path_of_temporary_files_is_told(tmp_path, monkeypatch):
    long = tmp_path / ("x" * 150)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    with pytest.raises(UserError, match="TMPDIR"), data_folder(tmp_path):
        pass
    assert os.listdir(long) == []


def test_resampling_keeps_frequency_and_level():
    tone = np.sin(2 * np.pi * 1000 * np.arange(22050) / 22050).astype(np.float32)
    there = resampled(tone, 320, 441)
    assert len(there) == 16000 and there.dtype == np.float32
    assert np.allclose(there, np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000), atol=1e-3)
