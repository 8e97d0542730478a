import numpy as np
import pesq
import pystoi
import pytest

from wesep_mix.base.errors import NoValue, UserError
from wesep_mix.metrics.perceptual import pesq_wideband, stoi

RATE = 16000


@pytest.fixture(scope="module")
def speechlike():
    """Two seconds of syllable-like bursts of a buzz: enough for PESQ to find utterances."""
    time = np.arange(2 * RATE) / RATE
    buzz = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 20))
    return (0.1 * buzz * np.clip(np.sin(2 * np.pi * 3 * time), 0, None)).astype(np.float32)


def test_a_perfect_estimate_has_the_top_scores(speechlike):
    assert pesq_wideband(speechlike, speechlike) == pytest.approx(4.64, abs=0.01)
    assert stoi(speechlike, speechlike) == pytest.approx((1.0, 1.0), abs=1e-3)


def test_more_noise_scores_lower(speechlike):
    noise = np.random.default_rng(0).standard_normal(speechlike.size).astype(np.float32)
    little, much = speechlike + 0.001 * noise, speechlike + 0.05 * noise
    assert pesq_wideband(little, speechlike) > pesq_wideband(much, speechlike)
    assert all(np.array(stoi(little, speechlike)) > stoi(much, speechlike))


def test_argument_order_is_est_then_source(speechlike):
    noisy = speechlike + 0.01 * np.random.default_rng(0).standard_normal(speechlike.size).astype(np.float32)
    assert pesq_wideband(noisy, speechlike) == pytest.approx(pesq.pesq(RATE, speechlike, noisy, "wb"))
    found = stoi(noisy, speechlike)
    assert found[0] == pytest.approx(pystoi.stoi(speechlike, noisy, RATE), abs=1e-9)
    assert found[1] == pytest.approx(pystoi.stoi(speechlike, noisy, RATE, extended=True), abs=1e-9)
    assert found[0] - found[1] > 0.01


@pytest.mark.parametrize("rate", [8000, 10000, 16000])
def test_both_forms_of_stoi_are_those_of_pystoi(rate, buzz):
    rng, voice = np.random.default_rng(rate), buzz(150, 3)[: 3 * rate].astype(float)
    for _ in range(20):
        source = voice * (rng.random() > 0.5 or np.clip(np.sin(np.arange(voice.size) / 900), 0, None))
        est = source + rng.uniform(0.001, 0.5) * rng.standard_normal(voice.size)
        wanted = [pystoi.stoi(source, est, rate, extended) for extended in (False, True)]
        assert stoi(est, source, rate) == pytest.approx(wanted, abs=1e-9)


def test_too_short_has_no_value_and_is_named(speechlike):
    with pytest.raises(NoValue, match=r"PESQ: Buffer needs .* \(0\.06 s"):
        pesq_wideband(speechlike[:1000], speechlike[:1000])
    for size in (3000, 300, 1):
        with pytest.raises(NoValue, match="^STOI: wanted 30 frames within 40 dB of the source's loudest, found "):
            stoi(np.ones(size), np.ones(size))


def test_what_pesq_refuses_is_named(speechlike, monkeypatch):
    def refuse(*_):
        raise pesq.NoUtterancesError(b"No utterances detected")

    monkeypatch.setattr(pesq, "pesq", refuse)
    with pytest.raises(NoValue, match=r"PESQ: No utterances detected \(2.00 s, source peak 0.18"):
        pesq_wideband(speechlike, speechlike)


def test_silence_nan_and_rate_are_named(speechlike):
    silent = np.zeros_like(speechlike)
    with pytest.raises(UserError, match="PESQ: est is silent"):
        pesq_wideband(silent, speechlike)
    with pytest.raises(UserError, match="STOI: est holds 32000 samples"):
        stoi(silent * np.nan, speechlike)
    with pytest.raises(UserError, match="wideband wants 16000 Hz, found 8000"):
        pesq_wideband(speechlike, speechlike, 8000)
