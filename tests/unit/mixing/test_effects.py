"""Rooms, microphones and files: what becomes of a mixture and of its parts."""

import numpy as np
import pytest

from wesep_mix.mixing import effects
from wesep_mix.mixing.render import Rendered

T = 16000


def of(sources, noise) -> Rendered:
    sources, noise = np.float32(sources), np.float32(noise)
    return Rendered(sources.sum(0) + noise, sources, noise)


def tone(hz: float, size: int = T) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(size) / 16000)


def power_db(signal, reference) -> float:
    return 10 * np.log10(np.square(signal).mean() / np.square(reference).mean())


@pytest.fixture
def audio():
    rng = np.random.default_rng(0)
    sources = 0.05 * rng.standard_normal((2, T))
    sources[0, :3000] = sources[1, 12000:] = 0
    return of(sources, 0.01 * rng.standard_normal(T))


DONE = {
    "reverberated": lambda audio: effects.reverberated(audio, [np.exp(-np.arange(4000) / 900.0)] * 2),
    "band_limited": lambda audio: effects.band_limited(audio, 4000.0, 300.0),
    "clipped": lambda audio: effects.clipped(audio, 0.3),
    **{
        kind[1]: lambda audio, kind=kind, ends=ends: effects.coded(audio, kind, ends and ends[1])
        for kind, ends in effects.CODECS.items()
    },
}


@pytest.mark.parametrize("name", DONE)
def test_a_mixture_stays_the_sum_of_its_parts_and_the_given_one_as_it_was(audio, name):
    before = [part.copy() for part in (audio.mix, audio.sources, audio.noise)]
    done = DONE[name](audio)
    for part, own in zip((done.mix, done.sources, done.noise), (audio.mix, audio.sources, audio.noise), strict=True):
        assert part.shape == own.shape and part.dtype == np.float32
    assert np.allclose(done.mix, done.sources.sum(0) + done.noise, atol=1e-6)
    assert not np.allclose(done.mix, audio.mix, atol=1e-3)
    parts = (audio.mix, audio.sources, audio.noise)
    assert all(np.array_equal(part, own) for part, own in zip(parts, before, strict=True))


def test_an_anechoic_room_changes_nothing_however_far_the_talkers_are(audio):
    near, far = np.zeros(10), np.zeros(500)
    near[3], far[400] = 1.0, -0.1  # another sign is another polarity of the microphone
    done = effects.reverberated(audio, [near, near])
    assert np.allclose(done.sources, audio.sources, atol=1e-6) and np.allclose(done.noise, audio.noise, atol=1e-6)
    assert np.allclose(effects.reverberated(audio, [near, far]).sources[1], -audio.sources[1], atol=1e-6)


def test_early_reflections_are_the_talkers_and_late_ones_noise():
    """By hand: a click at 1000; direct sound at 40, a reflection 10 ms later, another 100 ms later."""
    click = np.zeros((1, T))
    click[0, 1000] = 0.5
    response = np.zeros(3000)
    response[[40, 200, 1640]] = 0.8, 0.6, 0.3
    done = effects.reverberated(of(click, np.zeros(T)), [response])
    source, noise = np.zeros(T), np.zeros(T)
    source[[1000, 1160]], noise[2600] = (0.4, 0.3), 0.15  # the power of 0.5: 0.25 = 0.4**2 + 0.3**2, so the gain is 1
    assert np.allclose(done.sources[0], source, atol=1e-6) and np.allclose(done.noise, noise, atol=1e-6)


def test_the_reverberant_mixture_is_the_convolution(audio):
    """Up to each source's gain, which keeps the power of what is wanted."""
    rng = np.random.default_rng(1)
    responses = [rng.standard_normal(5000) * np.exp(-np.arange(5000) / 800) for _ in range(2)]
    for response in responses:
        response[[20, 60]] = 4.0, 2.0
    done = effects.reverberated(audio, responses)
    wanted = np.zeros(T)
    for source, early, response in zip(audio.sources, done.sources, responses, strict=True):
        assert np.square(early).sum() == pytest.approx(np.square(source).sum(), rel=1e-3)
        whole, part = (np.convolve(source, one)[20 : 20 + T] for one in (response, response[:820]))
        wanted += whole * np.sqrt(np.square(source).sum() / np.square(part).sum())
    heard = done.mix - audio.noise
    assert done.mix.max() < effects.PEAK and np.allclose(heard, wanted, atol=1e-5)


def test_silence_stays_silent():
    silent = of(np.zeros((2, T)), np.zeros(T))
    for name in ("reverberated", "band_limited", "clipped"):
        assert not DONE[name](silent).mix.any()


def test_what_gets_too_loud_is_made_quieter_as_a_whole():
    click = np.zeros((1, T))
    click[0, 100:8000] = 0.8
    done = effects.reverberated(of(click, np.zeros(T)), [np.r_[1.0, np.zeros(1000), np.full(50, 0.05)]])
    assert np.abs(done.mix).max() == pytest.approx(effects.PEAK, rel=1e-5)
    assert np.allclose(done.mix, done.sources[0] + done.noise, atol=1e-6)


@pytest.mark.parametrize("hz, low, passes", [(1000, 300, True), (2500, 0, True), (3600, 0, False), (100, 300, False)])
def test_a_band_limit_lets_through_what_is_inside(hz, low, passes):
    audio = of([0.3 * tone(hz)], 0.1 * tone(hz))
    done = effects.band_limited(audio, 3200.0, low)
    inside = slice(1000, -1000)
    if passes:  # and nothing comes later than before
        assert np.allclose(done.sources[0, inside], audio.sources[0, inside], atol=5e-3)
        assert np.allclose(done.mix[inside], audio.mix[inside], atol=5e-3)
    else:
        assert power_db(done.mix[inside], audio.mix[inside]) < -20


def test_clipping_holds_the_loudest_at_a_share_of_the_peak(audio):
    done = effects.clipped(audio, 0.5)
    peak = np.abs(audio.mix).max()
    assert np.abs(done.mix).max() == pytest.approx(0.5 * peak)
    quiet = np.abs(audio.mix) < 0.5 * peak
    assert np.array_equal(done.mix[quiet], audio.mix[quiet]) and not quiet.all()
    assert np.array_equal(done.sources, audio.sources)


@pytest.mark.parametrize("kind", effects.CODECS, ids=lambda kind: kind[1])
@pytest.mark.parametrize("size", [T, 12345])
def test_a_codec_loses_little_and_delays_nothing(kind, size):
    speechlike = (0.3 * tone(300, size) + 0.2 * tone(700, size)) * (1 + 0.5 * tone(3, size))
    audio = of([speechlike], np.zeros(size))
    strengths = effects.CODECS[kind]
    done = effects.coded(audio, kind, strengths and strengths[0])
    inside = slice(1000, -1000)
    assert len(done.mix) == size and np.array_equal(done.sources, audio.sources)
    assert power_db((done.mix - audio.mix)[inside], audio.mix[inside]) < -10
    if strengths:
        harder = effects.coded(audio, kind, strengths[1])
        assert not np.array_equal(harder.mix, done.mix)
