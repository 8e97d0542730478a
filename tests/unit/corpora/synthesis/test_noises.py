import numpy as np
import pytest

from wesep_mix.base.errors import UserError
from wesep_mix.corpora.synthesis import noises
from wesep_mix.io.audio import write_audio


def _speech(folder, num_files=4):
    rng = np.random.default_rng(0)
    paths = [folder / f"{number}.wav" for number in range(num_files)]
    for path in paths:
        write_audio(path, (0.1 * rng.standard_normal(20000)).astype(np.float32).clip(-1, 1))
    return paths


def _make(kind, seed, num_samples, speech):
    rng = np.random.default_rng(seed)
    if kind == "babble":
        return noises.babble(rng, num_samples, speech)
    return getattr(noises, kind)(rng, num_samples)


@pytest.mark.parametrize("kind", noises.KINDS)
def test_length_level_and_seed(kind, tmp_path):
    speech = _speech(tmp_path)
    first, again, other = (_make(kind, seed, 32000, speech) for seed in (0, 0, 1))
    assert first.shape == (32000,) and first.dtype == np.float32
    assert np.abs(first).max() == pytest.approx(0.7)
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_coloured_noise_differs_in_colour():
    centroids = []
    for seed in range(8):
        power = np.abs(np.fft.rfft(noises.coloured(np.random.default_rng(seed), 16000))) ** 2
        centroids.append((power * np.arange(len(power))).sum() / power.sum())
    assert max(centroids) > 3 * min(centroids)


def test_modulated_noise_swings_and_coloured_noise_does_not():
    def swing_db(samples):
        levels = 10 * np.log10((samples.reshape(-1, 1600) ** 2).mean(1))
        return np.ptp(np.percentile(levels, [5, 95]))

    for seed in range(4):
        steady = swing_db(noises.coloured(np.random.default_rng(seed), 160000))
        assert steady < 5 < swing_db(noises.modulated(np.random.default_rng(seed), 160000))


def test_babble_goes_on_without_a_damaged_file_but_not_without_any(tmp_path):
    speech, damaged = _speech(tmp_path), tmp_path / "damaged.wav"
    damaged.write_bytes(b"RIFF")
    assert np.isfinite(noises.babble(np.random.default_rng(0), 16000, [*speech, damaged])).all()
    with pytest.raises(UserError, match="damaged.wav"):
        noises.babble(np.random.default_rng(0), 16000, [damaged])
