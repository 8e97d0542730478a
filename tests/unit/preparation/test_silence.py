import numpy as np
import pytest

from wesep_mix.mixing.draw import Pool, draw_noise
from wesep_mix.preparation.activity import silent_stretches
from wesep_mix.preparation.lists import NoiseEntry
from wesep_mix.preparation.settings import MixingConfig

RATE, FRAME, PAUSE = 16000, 160, 4000
LSB = 1 / 32768


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def noise_of(rng, *parts):
    """Seconds of noise, or of silence where negative."""
    return np.concatenate([(part > 0) * rng.uniform(-0.1, 0.1, round(abs(part) * RATE)) for part in parts])


def starts_outside(stretches, size):
    allowed = np.ones(size, dtype=bool)
    for first, end in stretches:
        allowed[first:end] = False
    return np.flatnonzero(allowed)


@pytest.mark.parametrize("parts", [(3.0,), (1.0, -0.2, 1.0), (0.05,), (-0.1, 1.0, -0.1)])
def test_a_noise_that_sounds_all_along_has_no_silent_stretch(rng, parts):
    assert silent_stretches(noise_of(rng, *parts)) == ()


def test_a_stretch_begins_with_the_last_frame_before_it_and_ends_where_sound_begins(rng):
    assert silent_stretches(noise_of(rng, 1.0, -1.0, 1.0)) == ((RATE - FRAME, 2 * RATE),)


def test_silence_over_the_end_goes_on_at_the_beginning(rng):
    stretches = silent_stretches(noise_of(rng, -0.15, 1.0, -0.15))
    assert stretches == ((0, 2400), (round(1.15 * RATE) - FRAME, round(1.3 * RATE)))


@pytest.mark.parametrize("seconds", [0.05, 0.3, 5.0])
@pytest.mark.parametrize("value", [0.0, 0.25, -1.0])
def test_what_stays_at_one_value_is_silent_dithered_or_not(rng, seconds, value):
    samples = np.full(round(seconds * RATE), value)
    for dither in (0, rng.integers(-1, 2, len(samples)) * LSB):
        assert silent_stretches((samples + dither).astype(np.float32)) == ((0, len(samples)),)


def test_a_quiet_hum_is_no_silence():
    hum = np.round(4 * np.sin(2 * np.pi * 50 * np.arange(2 * RATE) / RATE)) * LSB
    assert silent_stretches(hum.astype(np.float32)) == ()


def test_wherever_a_noise_may_begin_something_sounds_before_long(rng):
    """The shortest mixture has 0.4 s."""
    for _ in range(30):
        levels = np.repeat(rng.uniform(size=rng.integers(1, 200)) < rng.choice([0.02, 0.1, 0.5]), rng.integers(50, 900))
        samples = (levels * rng.uniform(-0.1, 0.1, len(levels))).astype(np.float32)
        stretches = silent_stretches(samples)
        twice = np.resize(samples, len(samples) + RATE)
        for start in starts_outside(stretches, len(samples))[::37]:
            assert np.ptp(twice[start : start + round(0.4 * RATE)]) > 2 * LSB


def test_a_noise_begins_in_no_silent_stretch_and_anywhere_else(rng):
    samples = noise_of(rng, -0.5, 0.6, -0.8, 0.1)
    entry = NoiseEntry("n", "/n.wav", len(samples), "", silent_stretches(samples))
    pool = Pool({}, [entry], MixingConfig())
    starts = {draw_noise(pool, rng).start for _ in range(40000)}
    allowed = set(starts_outside(entry.silent, entry.num_samples).tolist())
    assert starts <= allowed and len(starts) > 0.9 * len(allowed) > 9000
    assert all(samples[start : start + PAUSE].any() for start in sorted(starts)[::50])


def test_draws_of_a_noise_that_sounds_all_along_are_those_without_the_lists_word(rng):
    pool, turned = Pool({}, [NoiseEntry("n", "/n.wav", 48000)], MixingConfig()), np.random.default_rng(5)
    rng = np.random.default_rng(5)
    for _ in range(50):
        turned.integers(1)
        start, snr = int(turned.integers(48000)), int(turned.integers(3))
        drawn = draw_noise(pool, rng)
        assert (drawn.start, drawn.snr_db) == (start, (5.0, 10.0, 15.0)[snr])
